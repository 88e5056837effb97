import { Elysia } from 'elysia'
import { type Context, rateLimit as plugin } from 'elysia-rate-limit'
import type { Count, RateLimitCounters } from '../rate-limit/store.ts'
import type { Log } from './access-log.ts'
import { ProblemError } from './problem.ts'
import type { RequestContext, RequestContexts } from './request-context.ts'

type Settings = { limit: number; windowSeconds: number }
type Needs = {
  settings: Settings
  rateLimitStore: RateLimitCounters
  contexts: RequestContexts
  log: Log
}

/** How often a window a session may end sessions, log out and change its password. */
const revocationsMax = 20

/**
 * 100 requests an hour for each user, over all of their tokens; before sign-in,
 * for each address. A fixed window. Every answer counts once, and whatever it was
 * going to be, past the limit it is 429.
 *
 * Ending sessions has a budget of its own, by session: a thief who burns the
 * user's cannot keep the owner from ending his session.
 *
 * elysia-rate-limit counts what reaches a handler; `problems` counts, by `count`,
 * what was refused before. The plugin's own `onError` is left out: depending
 * on the order of registration it counts some refusals twice and others never.
 */
export const createRateLimit = ({ settings, rateLimitStore, contexts, log }: Needs) => {
  const windowMs = settings.windowSeconds * 1000
  const limitOf = (key: string) => (key.startsWith('endings:') ? revocationsMax : settings.limit)

  /** The fields that the plugin writes of what it has counted, and the draft's. */
  const rateLimitHeaders = (key: string, { count, resetsAt }: Count) => {
    const limit = limitOf(key)
    const headers = {
      'RateLimit-Limit': String(limit),
      'RateLimit-Remaining': String(Math.max(0, limit - count)),
      'RateLimit-Reset': String(Math.max(0, Math.ceil((resetsAt - Date.now()) / 1000))),
    }
    return Object.assign(headers, draftHeaders(key, headers, settings.windowSeconds))
  }

  const add = async (key: string) => {
    const limit = limitOf(key)
    const added = await rateLimitStore.add(key, windowMs, limit)
    if (added.count === limit + 1) log.warn('limit reached', named(key))
    if (added.count > limit) {
      const headers = rateLimitHeaders(key, added)
      const retryAfter = String(Math.max(1, Number(headers['RateLimit-Reset'])))
      throw new ProblemError('rate-limited', { headers: { ...headers, 'retry-after': retryAfter } })
    }
    return added
  }

  const context: Context = {
    init: () => {},
    increment: async (key) => {
      const { count, resetsAt } = await add(key)
      return { count, nextReset: new Date(resetsAt), start: resetsAt - windowMs }
    },
    decrement: async (key) => rateLimitStore.decrement(key),
    reset: async () => {},
    kill: () => {},
  }

  const counted = extractHook(
    plugin({
      duration: windowMs,
      max: limitOf,
      context,
      skip: (request) => contexts.of(request).budget === 'none',
      generator: (request) => rateLimitKey(contexts.of(request)),
    }),
  )

  const counting = new Elysia({ name: 'rate-limit' }).onBeforeHandle(
    { as: 'global' },
    async ({ set, request }) => {
      await counted({ set, request })
      const { rateLimitKey } = contexts.of(request)
      if (rateLimitKey !== undefined)
        Object.assign(set.headers, draftHeaders(rateLimitKey, set.headers, settings.windowSeconds))
    },
  )

  return {
    counting,

    /** Counts what the plugin has not, and gives the headers that say so; throws where that is one too many. */
    count: async (requestContext: RequestContext): Promise<Record<string, string>> => {
      if (requestContext.budget === 'none' || requestContext.rateLimitKey !== undefined) return {}
      const key = rateLimitKey(requestContext)
      return rateLimitHeaders(key, await add(key))
    },

    /** The token turned out to be of a dead session: its user is not to pay, and the next count is the address's. */
    decrement: async (requestContext: RequestContext): Promise<void> => {
      if (requestContext.rateLimitKey !== undefined)
        await rateLimitStore.decrement(requestContext.rateLimitKey)
      requestContext.rateLimitKey = undefined
      requestContext.principal = undefined
    },
  }
}

export type RateLimit = ReturnType<typeof createRateLimit>

/** An address is nobody's business in a log. */
const named = (key: string) => {
  const [budget = '', whose] = key.split(/:(.*)/)
  if (budget === 'endings') return { budget, session_id: whose }
  return budget === 'user' ? { budget: 'api', user_id: whose } : { budget }
}

const rateLimitKey = (requestContext: RequestContext): string => {
  const { principal, budget, address } = requestContext
  if (principal === undefined) requestContext.rateLimitKey = `address:${address}`
  else
    requestContext.rateLimitKey =
      budget === 'endings' ? `endings:${principal.sessionId}` : `user:${principal.userId}`
  return requestContext.rateLimitKey
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

type Hook = (context: { set: { headers: object }; request: Request }) => unknown

/**
 * The plugin's hook by itself. It takes its whole context, so that Elysia, where the plugin is used
 * as a plugin, parses the cookies and the query of each request for it.
 */
const extractHook = (register: ReturnType<typeof plugin>): Hook => {
  const [hook] = register(new Elysia()).event.beforeHandle ?? []
  if (hook === undefined) throw new Error('elysia-rate-limit no longer counts before the handler')
  return (context) => hook.fn(context as Parameters<typeof hook.fn>[0])
}
