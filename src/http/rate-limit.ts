import { Elysia } from 'elysia'
import { type Context, rateLimit as plugin } from 'elysia-rate-limit'
import type { Counters } from '../counters/counters.ts'
import { Refusal } from '../errors.ts'
import type { Log } from './log.ts'
import type { Visit, Visits } from './visits.ts'

type Settings = { limit: number; windowSeconds: number }
type Needs = { settings: Settings; counters: Counters; visits: Visits; log: Log }

/** How often a window a session may end sessions, log out and change its password. */
const endingsMax = 20

/**
 * 100 requests an hour for each user, over all of their tokens; before sign-in,
 * for each address. A fixed window. Every answer counts once, and whatever it was
 * going to be, past the limit it is 429.
 *
 * Ending sessions has a budget of its own, by session: a thief who burns the
 * user's cannot keep the owner from ending his session.
 *
 * elysia-rate-limit counts what reaches a handler; `problems` counts, by `count`,
 * what was refused before. The plugin's own `onError` is never relied on: depending
 * on the order of registration it counts some refusals twice and others never.
 */
export const rateLimit = ({ settings, counters, visits, log }: Needs) => {
  const windowMs = settings.windowSeconds * 1000
  const limitOf = (key: string) => (key.startsWith('endings:') ? endingsMax : settings.limit)

  const standing = (key: string, count: number, resetsAt: number) => {
    const limit = limitOf(key)
    const remaining = Math.max(0, limit - count)
    const seconds = Math.max(0, Math.ceil((resetsAt - Date.now()) / 1000))
    return {
      'RateLimit-Limit': String(limit),
      'RateLimit-Remaining': String(remaining),
      'RateLimit-Reset': String(seconds),
    }
  }

  const add = async (key: string) => {
    const limit = limitOf(key)
    const { count, resetsAt } = await counters.add(key, windowMs, limit)
    const headers = standing(key, count, resetsAt)
    if (count === limit + 1) log.warn('limit reached', named(key))
    if (count > limit)
      throw new Refusal('rate-limited', {
        headers: {
          ...headers,
          ...draftHeaders(key, headers, settings.windowSeconds),
          'retry-after': String(Math.max(1, Number(headers['RateLimit-Reset']))),
        },
      })
    return { count, resetsAt, headers }
  }

  const context: Context = {
    init: () => {},
    increment: async (key) => {
      const { count, resetsAt } = await add(key)
      return { count, nextReset: new Date(resetsAt), start: resetsAt - windowMs }
    },
    decrement: async (key) => counters.giveBack(key),
    reset: async () => {},
    kill: () => {},
  }

  const counting = new Elysia({ name: 'rate-limit' })
    .use(
      plugin({
        duration: windowMs,
        max: limitOf,
        scoping: 'global',
        countFailedRequest: true,
        context,
        skip: (request) => visits.of(request).budget === 'none',
        generator: (request) => countedAs(visits.of(request)),
      }),
    )
    .onBeforeHandle({ as: 'global' }, ({ set, request }) => {
      const { countedAs } = visits.of(request)
      if (countedAs !== undefined)
        Object.assign(set.headers, draftHeaders(countedAs, set.headers, settings.windowSeconds))
    })

  return {
    counting,

    /** Counts what the plugin has not, and gives the headers that say so; throws where that is one too many. */
    count: async (visit: Visit): Promise<Record<string, string>> => {
      if (visit.budget === 'none' || visit.countedAs !== undefined) return {}
      const key = countedAs(visit)
      const { headers } = await add(key)
      return { ...headers, ...draftHeaders(key, headers, settings.windowSeconds) }
    },

    /** The token turned out to be of a dead session: its user is not to pay, and the next count is the address's. */
    giveBack: async (visit: Visit): Promise<void> => {
      if (visit.countedAs !== undefined) await counters.giveBack(visit.countedAs)
      visit.countedAs = undefined
      visit.caller = undefined
    },
  }
}

export type RateLimit = ReturnType<typeof rateLimit>

/** An address is nobody's business in a log. */
const named = (key: string) => {
  const [budget = '', whose] = key.split(/:(.*)/)
  if (budget === 'endings') return { budget, session_id: whose }
  return budget === 'user' ? { budget: 'api', user_id: whose } : { budget }
}

const countedAs = (visit: Visit): string => {
  const { caller, budget, address } = visit
  if (caller === undefined) visit.countedAs = `address:${address}`
  else
    visit.countedAs = budget === 'endings' ? `endings:${caller.sessionId}` : `user:${caller.userId}`
  return visit.countedAs
}

/** draft-ietf-httpapi-ratelimit-headers-10, from the older fields that the plugin has written. */
const draftHeaders = (
  key: string,
  headers: Readonly<Record<string, string | number | undefined>>,
  windowSeconds: number,
) => {
  const name = key.startsWith('endings:') ? 'endings' : 'api'
  return {
    'RateLimit-Policy': `"${name}";q=${headers['RateLimit-Limit']};w=${windowSeconds}`,
    RateLimit: `"${name}";r=${headers['RateLimit-Remaining']};t=${headers['RateLimit-Reset']}`,
  }
}
