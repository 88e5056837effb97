import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import type { Log } from '../../log.ts'
import { Unavailable } from '../../unavailable.ts'

/** The keys of an issuer cannot be fetched, so that its tokens cannot be verified: 503. */
export class IssuerUnavailable extends Unavailable {
  override readonly name = 'IssuerUnavailable'

  constructor() {
    super('the keys of the issuer are unavailable')
  }
}

/** Age at which keys are fetched again; meanwhile the old ones are used. */
const freshMs = 600_000
/** Age at which keys are no longer used, if the issuer stays down. */
const staleMs = 86_400_000
/** Minimum time between two fetches: unauthenticated clients can invent key ids. */
const cooldownMs = 30_000
const timeoutMs = 3000
const charactersMax = 1_048_576

type CachedKeys = { keyOf: ReturnType<typeof createLocalJWKSet>; fetchedAtMs: number }

/**
 * The public keys of an issuer (RFC 7517), cached.
 *
 * An unknown `kid` may be a new key, so the keys are fetched again, at most every 30 s. While the issuer is down, its
 * last keys are used for a day.
 */
export const createKeySet = (uri: string, log: Log): JWTVerifyGetKey => {
  let cached: CachedKeys | undefined
  let attemptedAtMs = Number.NEGATIVE_INFINITY
  let failed = false
  let inProgress: Promise<void> | undefined

  const refresh = async () => {
    attemptedAtMs = Date.now()
    try {
      cached = { keyOf: createLocalJWKSet(await requestJwks(uri)), fetchedAtMs: Date.now() }
      failed = false
    } catch (error) {
      failed = true
      log.warn('issuer keys unavailable', { jwks_uri: uri, error })
    }
    inProgress = undefined
  }
  /** The fetch in progress, or a new one after the cooldown. */
  const fetchKeys = () => {
    if (inProgress === undefined && Math.abs(Date.now() - attemptedAtMs) >= cooldownMs)
      inProgress = refresh()
    return inProgress
  }
  const isYoungerThan = (ms: number) => cached !== undefined && Date.now() - cached.fetchedAtMs < ms
  const key: JWTVerifyGetKey = (header, token) => {
    if (cached === undefined || !isYoungerThan(staleMs)) throw new IssuerUnavailable()
    return cached.keyOf(header, token)
  }

  return async (header, token) => {
    const fetching = isYoungerThan(freshMs) ? undefined : fetchKeys()
    if (!isYoungerThan(staleMs)) await fetching
    try {
      return await key(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
    }
    await fetchKeys()
    if (failed) throw new IssuerUnavailable()
    return key(header, token)
  }
}

const requestJwks = async (uri: string) => {
  const response = await fetch(uri, {
    headers: { accept: 'application/json' },
    // A redirect could point to keys of an attacker.
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (!response.ok) throw new Error(`the issuer returned ${response.status}`)
  const text = await response.text()
  if (text.length > charactersMax) throw new Error('the response of the issuer is too large')
  return JSON.parse(text)
}
