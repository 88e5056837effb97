import { createHash } from 'node:crypto'
import { throwProblem } from '../http/problem.ts'
import type { Log } from '../log.ts'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import { normalizeEmail } from '../schema/email.ts'

type Settings = {
  /** Maximum of failures for an account from one address. */
  attempts: number
  /** Maximum of failures for an account from all addresses. */
  attemptsPerAccount: number
  /** Maximum of sign-ins and sign-ups from one address. */
  attemptsPerAddress: number
  windowSeconds: number
}

/**
 * Limits on guessing passwords (OWASP ASVS 6.3.1).
 *
 * An attempt is reserved before the password is hashed, so that concurrent attempts cannot exceed the limit, and it
 * is returned on success. The narrowest limit is taken first: an address that used up its limit for an account takes
 * nothing from the limit of all addresses, and the owner can still sign in from another address.
 */
export const createLoginThrottle = (
  settings: Settings,
  rateLimitStore: RateLimitCounters,
  log: Log,
) => {
  const windowMs = settings.windowSeconds * 1000

  const take = async (key: string, limit: number) => {
    const { count, resetsAt } = await rateLimitStore.add(key, windowMs, limit)
    if (count <= limit) return
    // Once per window: every refused request has its own line anyway.
    if (count === limit + 1) log.warn('limit reached', { budget: key.slice(0, key.indexOf(':')) })
    const seconds = Math.max(1, Math.ceil((resetsAt - Date.now()) / 1000))
    throwProblem('too-many-attempts', { headers: { 'retry-after': String(seconds) } })
  }

  const countAddress = (address: string) =>
    take(`sign-in-address:${address}`, settings.attemptsPerAddress)

  const reserveAttempt = async (email: string, address: string) => {
    const account = createHash('sha256').update(normalizeEmail(email)).digest('base64url')
    const fromThisAddress = `sign-in-here:${account}:${address}`
    const fromAllAddresses = `sign-in:${account}`
    await take(fromThisAddress, settings.attempts)
    await take(fromAllAddresses, settings.attemptsPerAccount)

    return {
      succeeded: async () => {
        await rateLimitStore.reset(fromThisAddress)
        await rateLimitStore.decrement(fromAllAddresses)
      },
    }
  }

  return {
    /** Counts one sign-up of the address. */
    signUp: countAddress,
    /** Reserves one sign-in; `succeeded` returns it. */
    signIn: async (email: string, address: string) => {
      await countAddress(address)
      return reserveAttempt(email, address)
    },
    /** Reserves one check of `current_password`, which counts for the account like a sign-in. */
    confirm: reserveAttempt,
  }
}

export type LoginThrottle = ReturnType<typeof createLoginThrottle>
