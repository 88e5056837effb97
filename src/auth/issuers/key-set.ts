import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import type { Log } from '../../log.ts'
import { Unavailable } from '../../unavailable.ts'

/** The keys of an issuer cannot be had, and without them nobody can tell whether a token is good: a 503. */
export class IssuerUnavailable extends Unavailable {
  override readonly name = 'IssuerUnavailable'

  constructor() {
    super('the keys of the issuer are unavailable')
  }
}

/** Keys are asked for anew after so long, while those at hand go on being used. */
const freshMs = 600_000
/** How long an issuer may be down before its last keys are no longer believed. */
const staleMs = 86_400_000
/** Between two questions, whoever wants them: a stranger can make up key ids as fast as he can type. */
const cooldownMs = 30_000
const answerMs = 3000
const charactersMax = 1_048_576

type Held = { keyOf: ReturnType<typeof createLocalJWKSet>; atMs: number }

/**
 * The public keys of an issuer (RFC 7517), kept.
 *
 * An unknown `kid` may be a new key, so it asks again, at most every 30 s. An issuer that is
 * down is no reason to turn its users away: its last keys are good for a day.
 */
export const createKeySet = (uri: string, log: Log): JWTVerifyGetKey => {
  let held: Held | undefined
  let triedAtMs = Number.NEGATIVE_INFINITY
  let failed = false
  let underway: Promise<void> | undefined

  const refresh = async () => {
    triedAtMs = Date.now()
    try {
      held = { keyOf: createLocalJWKSet(await keysAt(uri)), atMs: Date.now() }
      failed = false
    } catch (error) {
      failed = true
      log.warn('issuer keys unavailable', { jwks_uri: uri, error })
    }
    underway = undefined
  }
  /** The question that is under way, or a new one unless the last was just now. */
  const asked = () => {
    if (underway === undefined && Math.abs(Date.now() - triedAtMs) >= cooldownMs)
      underway = refresh()
    return underway
  }
  const isYoungerThan = (ms: number) => held !== undefined && Date.now() - held.atMs < ms
  const key: JWTVerifyGetKey = (header, token) => {
    if (held === undefined || !isYoungerThan(staleMs)) throw new IssuerUnavailable()
    return held.keyOf(header, token)
  }

  return async (header, token) => {
    const question = isYoungerThan(freshMs) ? undefined : asked()
    if (!isYoungerThan(staleMs)) await question
    try {
      return await key(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
    }
    await asked()
    if (failed) throw new IssuerUnavailable()
    return key(header, token)
  }
}

const keysAt = async (uri: string) => {
  const response = await fetch(uri, {
    headers: { accept: 'application/json' },
    // Whoever could send us elsewhere could name the keys.
    redirect: 'error',
    signal: AbortSignal.timeout(answerMs),
  })
  if (!response.ok) throw new Error(`the issuer answers ${response.status}`)
  const text = await response.text()
  if (text.length > charactersMax) throw new Error('the issuer sends too much')
  return JSON.parse(text)
}
