import { RedisClient } from 'bun'
import { RateLimitStoreUnavailable } from './store.ts'

/** How long a server that could not be reached is not called again: until then, whoever asks is refused at once. */
const retryAfterMs = 100

/**
 * A connection to Redis that is replaced when it fails, and a deadline for each command.
 *
 * Bun's client reconnects by itself too, but then a command sent while the server is away waits in its
 * queue for the server to return (6 s and more, measured), and a `connect()` never settles. A command that got
 * no answer is not sent twice: it may have counted.
 */
export const createRedisClient = (url: string, timeoutMs: number) => {
  let link: Link | undefined
  let retryAtMs = 0
  let closed = false

  const drop = (dropped: Link) => {
    if (link === dropped) link = undefined
    dropped.client.close()
  }

  const open = () => {
    if (performance.now() < retryAtMs) throw new RateLimitStoreUnavailable('unreachable')
    const client = new RedisClient(url, {
      connectionTimeout: timeoutMs,
      autoReconnect: false,
      enableOfflineQueue: false,
    })
    const connected = client.connect().then(
      () => {},
      () => {
        retryAtMs = performance.now() + retryAfterMs
        throw new RateLimitStoreUnavailable('unreachable')
      },
    )
    const opened = { client, connected }
    client.onclose = () => drop(opened)
    return opened
  }

  return {
    async send(command: string, args: string[]): Promise<unknown> {
      if (closed) throw new RateLimitStoreUnavailable('closed')
      link ??= open()
      const used = link
      const answer = used.connected.then(() => used.client.send(command, args))
      try {
        return await inTime(answer, timeoutMs)
      } catch (error) {
        const code = codeOf(error)
        // A primary that became a replica stays connected; whoever took over is found by its name.
        if (!isReply(error) || code === 'READONLY') drop(used)
        throw new RateLimitStoreUnavailable(code)
      }
    },

    close() {
      closed = true
      if (link !== undefined) drop(link)
    },
  }
}

type Link = { client: RedisClient; connected: Promise<void> }

const inTime = async <Result>(work: Promise<Result>, timeoutMs: number): Promise<Result> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new RateLimitStoreUnavailable('deadline')), timeoutMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

const isReply = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'ERR_REDIS_SERVER_ERROR'

/** Of a reply its first word only: what follows may name keys. */
const codeOf = (error: unknown): string => {
  if (error instanceof RateLimitStoreUnavailable) return error.code
  if (!isReply(error) || !(error instanceof Error)) return 'unreachable'
  return /^[A-Z]+/.exec(error.message)?.[0] ?? 'ERR'
}
