import { createHash } from 'node:crypto'
import type { Log } from '../log.ts'
import { throwProblem } from '../http/problem.ts'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import { normalizeEmail } from '../schema/types.ts'

type Settings = {
  /** Failures for an account from one address. */
  attempts: number
  /** Failures for an account from all addresses. */
  attemptsPerAccount: number
  /** Sign-ins and sign-ups from one address. */
  attemptsPerAddress: number
  windowSeconds: number
}

/**
 * The budgets of guessing passwords (OWASP ASVS 6.3.1).
 *
 * Each attempt is reserved before any hashing, so that a thousand at once cannot
 * slip through together, and given back when it succeeds. The budgets are taken
 * from the narrowest reach of a thief outwards: who has burnt what one address may
 * try on an account spends nothing of what all addresses may, and the owner still
 * gets in from elsewhere.
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
    // Once a window: the requests that follow have their own lines.
    if (count === limit + 1) log.warn('limit reached', { budget: key.slice(0, key.indexOf(':')) })
    const seconds = Math.max(1, Math.ceil((resetsAt - Date.now()) / 1000))
    throwProblem('too-many-attempts', { headers: { 'retry-after': String(seconds) } })
  }

  const fromAddress = (address: string) =>
    take(`sign-in-address:${address}`, settings.attemptsPerAddress)

  const onAccount = async (email: string, address: string) => {
    const account = createHash('sha256').update(normalizeEmail(email)).digest('base64url')
    const here = `sign-in-here:${account}:${address}`
    const anywhere = `sign-in:${account}`
    await take(here, settings.attempts)
    await take(anywhere, settings.attemptsPerAccount)

    return {
      succeeded: async () => {
        await rateLimitStore.reset(here)
        await rateLimitStore.decrement(anywhere)
      },
    }
  }

  return {
    /** Spends one sign-up of the address. */
    signUp: fromAddress,
    /** Reserves one sign-in; `succeeded` gives it back. */
    signIn: async (email: string, address: string) => {
      await fromAddress(address)
      return onAccount(email, address)
    },
    /** Reserves one guess of `current_password`; it spends the account's budgets, as a sign-in does. */
    confirm: onAccount,
  }
}

export type LoginThrottle = ReturnType<typeof createLoginThrottle>
