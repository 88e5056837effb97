import { createHash } from 'node:crypto'
import type { RateLimitCounters } from '../rate-limit/store.ts'

/** For an address, whether it has an account or not, over all instances that share the store. */
const linksPerHourMax = 5
const hourMs = 3_600_000

/** Returns the function that counts a link to a normalised address, and whether it is one too many. */
export const createLinkLimit =
  (rateLimitStore: RateLimitCounters) =>
  async (email: string): Promise<boolean> => {
    const address = createHash('sha256').update(email).digest('base64url')
    const { count } = await rateLimitStore.add(`mail-links:${address}`, hourMs, linksPerHourMax)
    return count > linksPerHourMax
  }

export type LinkLimit = ReturnType<typeof createLinkLimit>
