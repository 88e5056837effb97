import { Counter, type Registry } from 'prom-client'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import { createZeroedCounter } from './log-metrics.ts'

/** The budget that each kind of key is of. */
const budgets = new Map([
  ['user', 'api'],
  ['address', 'address'],
  ['endings', 'endings'],
  ['sign-in-address', 'sign-in'],
  ['sign-in-here', 'sign-in'],
  ['sign-in', 'sign-in'],
])

/** Counters of which each decision is counted. */
export const withRateLimitMetrics = (
  rateLimitStore: RateLimitCounters,
  registry: Registry,
): RateLimitCounters => {
  const decisions = new Counter({
    name: 'taskwarden_limiter_decisions_total',
    help: 'What the limiter decided, by budget; an attempt to sign in spends up to three of its own.',
    labelNames: ['budget', 'decision'],
    registers: [registry],
  })
  const tallies = new Map(
    [...new Set([...budgets.values(), 'other'])].map((budget) => [
      budget,
      {
        allowed: createZeroedCounter(decisions, { budget, decision: 'allowed' }),
        limited: createZeroedCounter(decisions, { budget, decision: 'limited' }),
        unavailable: createZeroedCounter(decisions, { budget, decision: 'unavailable' }),
      },
    ]),
  )

  return {
    ...rateLimitStore,
    add: async (key, windowMs, limit) => {
      const kind = key.slice(0, Math.max(0, key.indexOf(':')))
      const tally = tallies.get(budgets.get(kind) ?? 'other')
      try {
        const counted = await rateLimitStore.add(key, windowMs, limit)
        if (counted.count <= limit) tally?.allowed()
        else tally?.limited()
        return counted
      } catch (error) {
        tally?.unavailable()
        throw error
      }
    },
  }
}
