import { Counter, type Registry } from 'prom-client'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import { createZeroedCounter } from './log-metrics.ts'

/** The label of each kind of key. */
const budgets = new Map([
  ['user', 'api'],
  ['address', 'address'],
  ['endings', 'endings'],
  ['sign-in-address', 'sign-in'],
  ['sign-in-here', 'sign-in'],
  ['sign-in', 'sign-in'],
])

/** A rate-limit store whose decisions are counted. */
export const withRateLimitMetrics = (
  rateLimitStore: RateLimitCounters,
  registry: Registry,
): RateLimitCounters => {
  const decisions = new Counter({
    name: 'taskwarden_limiter_decisions_total',
    help: 'Decisions of the rate limiter, by budget; a sign-in attempt takes up to three.',
    labelNames: ['budget', 'decision'],
    registers: [registry],
  })
  const byBudget = new Map(
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
      const decided = byBudget.get(budgets.get(kind) ?? 'other')
      try {
        const counted = await rateLimitStore.add(key, windowMs, limit)
        if (counted.count <= limit) decided?.allowed()
        else decided?.limited()
        return counted
      } catch (error) {
        decided?.unavailable()
        throw error
      }
    },
  }
}
