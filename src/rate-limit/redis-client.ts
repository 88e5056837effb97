import { RedisClient } from 'bun'
import { RateLimitStoreUnavailable } from './store.ts'

/** How long an unreachable server is not tried again; meanwhile commands fail at once. */
const retryAfterMs = 100

/**
 * A Redis connection that is replaced when it fails, with a deadline for each command.
 *
 * Bun's client can reconnect by itself, but then a command that is sent while the server is down waits for the server
 * to return (6 s and more), and a `connect()` never settles. A command without a response is not sent again, because
 * it may have counted.
 */
export const createRedisClient = (url: string, timeoutMs: number) => {
  let connection: RedisConnection | undefined
  let retryAtMs = 0
  let closed = false

  const drop = (dropped: RedisConnection) => {
    if (connection === dropped) connection = undefined
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
      connection ??= open()
      const used = connection
      const answer = used.connected.then(() => used.client.send(command, args))
      try {
        return await inTime(answer, timeoutMs)
      } catch (error) {
        const code = codeOf(error)
        // A primary that became a replica stays connected; its host name leads to the new primary.
        if (!isReply(error) || code === 'READONLY') drop(used)
        throw new RateLimitStoreUnavailable(code)
      }
    },

    close() {
      closed = true
      if (connection !== undefined) drop(connection)
    },
  }
}

type RedisConnection = { client: RedisClient; connected: Promise<void> }

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

/** Only the first word of an error reply: the rest may contain keys. */
const codeOf = (error: unknown): string => {
  if (error instanceof RateLimitStoreUnavailable) return error.code
  if (!isReply(error) || !(error instanceof Error)) return 'unreachable'
  return /^[A-Z]+/.exec(error.message)?.[0] ?? 'ERR'
}
