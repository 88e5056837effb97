import { Elysia } from 'elysia'
import { type Context, rateLimit as plugin } from 'elysia-rate-limit'
import type { Log } from '../log.ts'
import type { Count, RateLimitCounters } from '../rate-limit/store.ts'
import { ProblemError } from './problem.ts'
import type { RequestContext, RequestContexts } from './request-context.ts'

type Settings = { limit: number; windowSeconds: number }
type Needs = {
  settings: Settings
  rateLimitStore: RateLimitCounters
  contexts: RequestContexts
  log: Log
}

/** How often per window a session may end sessions or tokens, log out and change the password. */
const revocationsMax = 20

/**
 * Counts every response once, in a fixed window: per user over all tokens, and per client address before
 * sign-in. Over the limit, the response is 429.
 *
 * Ending sessions has a limit of its own per session: a stolen token that uses up the user's limit cannot
 * keep the owner from ending the session.
 *
 * elysia-rate-limit counts what reaches a handler. The error handler calls `count` for requests that were
 * refused before. The plugin's own `onError` is not used: depending on the order of registration it counts
 * some refusals twice and others never.
 */
export const createRateLimit = ({ settings, rateLimitStore, contexts, log }: Needs) => {
  const { windowSeconds } = settings
  const windowMs = windowSeconds * 1000
  const limitOf = (key: string) => (isRevocation(key) ? revocationsMax : settings.limit)

  const headersOf = (key: string, { count, resetsAt }: Count) => {
    const limit = limitOf(key)
    const headers = {
      'RateLimit-Limit': String(limit),
      'RateLimit-Remaining': String(Math.max(0, limit - count)),
      'RateLimit-Reset': String(Math.max(0, Math.ceil((resetsAt - Date.now()) / 1000))),
    }
    return Object.assign(headers, draftHeaders(key, headers, windowSeconds))
  }

  const increment = async (key: string) => {
    const limit = limitOf(key)
    const counted = await rateLimitStore.add(key, windowMs, limit)
    if (counted.count === limit + 1) log.warn('limit reached', logFields(key))
    if (counted.count > limit) {
      const headers = headersOf(key, counted)
      const retryAfter = String(Math.max(1, Number(headers['RateLimit-Reset'])))
      throw new ProblemError('rate-limited', { headers: { ...headers, 'retry-after': retryAfter } })
    }
    return counted
  }

  const context: Context = {
    init: () => {},
    increment: async (key) => {
      const { count, resetsAt } = await increment(key)
      return { count, nextReset: new Date(resetsAt), start: resetsAt - windowMs }
    },
    decrement: async (key) => rateLimitStore.decrement(key),
    reset: async () => {},
    kill: () => {},
  }

  const countInHandler = extractHook(
    plugin({
      duration: windowMs,
      max: limitOf,
      context,
      skip: (request) => contexts.of(request).rateLimitPolicy === 'none',
      generator: (request) => assignKey(contexts.of(request)),
    }),
  )

  const counting = new Elysia({ name: 'rate-limit' }).onBeforeHandle(
    { as: 'global' },
    async ({ set, request }) => {
      await countInHandler({ set, request })
      const { rateLimitKey } = contexts.of(request)
      if (rateLimitKey !== undefined)
        Object.assign(set.headers, draftHeaders(rateLimitKey, set.headers, windowSeconds))
    },
  )

  return {
    counting,

    /** Counts a request that the plugin has not counted, and returns the headers; throws 429 over the limit. */
    count: async (requestContext: RequestContext): Promise<Record<string, string>> => {
      const { rateLimitPolicy, rateLimitKey } = requestContext
      if (rateLimitPolicy === 'none' || rateLimitKey !== undefined) return {}
      const key = assignKey(requestContext)
      return headersOf(key, await increment(key))
    },

    /**
     * Takes back the count of a user whose session turned out to have ended. The next `count` is for the
     * client's address.
     */
    decrement: async (requestContext: RequestContext): Promise<void> => {
      const { rateLimitKey } = requestContext
      if (rateLimitKey !== undefined) await rateLimitStore.decrement(rateLimitKey)
      requestContext.rateLimitKey = undefined
      requestContext.principal = undefined
    },
  }
}

export type RateLimit = ReturnType<typeof createRateLimit>

const isRevocation = (key: string) => key.startsWith('endings:')

/** Without client addresses, which are personal data. */
const logFields = (key: string) => {
  const [budget = '', id] = key.split(/:(.*)/)
  if (isRevocation(key)) return { budget, session_id: id }
  return budget === 'user' ? { budget: 'api', user_id: id } : { budget }
}

const assignKey = (requestContext: RequestContext): string => {
  const { principal, rateLimitPolicy, address } = requestContext
  const key =
    principal === undefined
      ? `address:${address}`
      : rateLimitPolicy === 'revocation'
        ? `endings:${principal.sessionId}`
        : `user:${principal.userId}`
  requestContext.rateLimitKey = key
  return key
}

/** The fields of draft-ietf-httpapi-ratelimit-headers-10, from the older ones that the plugin has set. */
const draftHeaders = (
  key: string,
  headers: Readonly<Record<string, string | number | undefined>>,
  windowSeconds: number,
) => {
  const policy = isRevocation(key) ? 'endings' : 'api'
  return {
    'RateLimit-Policy': `"${policy}";q=${headers['RateLimit-Limit']};w=${windowSeconds}`,
    RateLimit: `"${policy}";r=${headers['RateLimit-Remaining']};t=${headers['RateLimit-Reset']}`,
  }
}

type Hook = (context: { set: { headers: object }; request: Request }) => unknown

/**
 * The hook of the plugin alone. Used as a plugin, it makes Elysia parse cookies and query of every request,
 * because it takes the whole context.
 */
const extractHook = (register: ReturnType<typeof plugin>): Hook => {
  const [hook] = register(new Elysia()).event.beforeHandle ?? []
  if (hook === undefined) throw new Error('elysia-rate-limit has no beforeHandle hook any more')
  return (context) => hook.fn(context as Parameters<typeof hook.fn>[0])
}
