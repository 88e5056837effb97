import postgres, { type ParameterOrJSON, type Sql } from 'postgres'
import type { ConnectionTarget } from './connection-url.ts'

/*
 * All use of members and options of postgres.js that its types do not declare. test/db/pool/driver.test.ts fails if a
 * new version changes them.
 */

/** A statement of postgres.js. Its promise also has the functions that settle it, and one that cancels it. */
export type PendingQuery<Rows> = Promise<Rows> & {
  /** Sends a cancel request. Unlike `query.cancel()`, it returns the promise of that request. */
  canceller?: ((query: unknown) => Promise<unknown>) | null
  resolve?(rows: Rows): void
  reject?(error: unknown): void
}

type ClientOptions = postgres.Options<Record<string, postgres.PostgresType>>
type UntypedOptions = {
  /** Opens the socket, instead of the driver. postgres.js takes the TLS server name from its `host`. */
  socket: () => Promise<unknown>
  /** Statements that are sent before the first has a response. */
  max_pipeline: number
}

/** A postgres.js client with a single connection. */
export const createDriverClient = (
  options: ClientOptions,
  { openSocket, pipelineMax }: { openSocket: UntypedOptions['socket']; pipelineMax: number },
): Sql => {
  const untyped: UntypedOptions = { socket: openSocket, max_pipeline: pipelineMax }
  return postgres({ ...options, ...untyped, max: 1 })
}

type Listening = {
  timeoutMs: number
  onMessage: (text: string) => void
  /** Called once, when the connection is lost after `listen`. */
  onLost: () => void
}

/**
 * One connection that receives notifications. The driver's `listen` opens a connection of its own, which it replaces
 * without telling the caller, who then does not know that messages may be lost.
 */
export const createListeningClient = (
  { options, parameters }: ConnectionTarget,
  { timeoutMs, onMessage, onLost }: Listening,
) => {
  let isListening = false
  const untyped = { onnotify: (_channel: string, text: string) => onMessage(text) }
  const sql = postgres({
    ...options,
    ...untyped,
    max: 1,
    fetch_types: false,
    idle_timeout: 0,
    max_lifetime: null,
    keep_alive: 30,
    connect_timeout: timeoutMs / 1000,
    connection: { application_name: 'taskwarden notifications', ...parameters },
    onnotice: () => {},
    onclose: () => {
      if (isListening) onLost()
      isListening = false
    },
  })
  return {
    /** `channel`: an identifier of letters and underscores. */
    listen: async (channel: string): Promise<void> => {
      await sql.unsafe(`listen ${channel}`)
      isListening = true
    },
    close: (): void => {
      isListening = false
      sql.end({ timeout: 0 }).catch(() => {})
    },
  }
}

type Settlement<Rows> = {
  /** Called with the rows. If it returns an error, the statement is rejected with it. */
  onRows: (rows: Rows) => Error | undefined
  onError: (error: unknown) => void
}

/**
 * Calls back synchronously when a statement settles; its promise would tell some microtasks later.
 *
 * `retried` makes postgres.js believe that it has repeated the statement already. Otherwise, when the plan of a
 * prepared statement becomes invalid, it repeats it in two steps, between which other statements are sent. From then
 * on rows arrive at the wrong statements (test/db/pool/pipeline.test.ts).
 */
export const interceptSettlement = <Rows>(
  query: PendingQuery<Rows>,
  retryError: Error,
  { onRows, onError }: Settlement<Rows>,
): PendingQuery<Rows> => {
  const { resolve, reject } = query
  const rejectWith = (error: unknown) => {
    onError(error)
    reject?.(error)
  }
  return Object.assign(query, {
    retried: retryError,
    reject: rejectWith,
    resolve: (rows: Rows) => {
      const error = onRows(rows)
      if (error === undefined) resolve?.(rows)
      else rejectWith(error)
    },
  })
}

/** Settles when the cancel request is sent or refused. `query.cancel()` would leave its rejection unhandled. */
export const sendCancelRequest = (query: PendingQuery<unknown>): Promise<unknown> | undefined =>
  query.canceller?.(query)

/** A client that never connects: Drizzle writes its parsers and serializers into it. */
export const createParserModel = (): Sql => postgres({ max: 1 })

/** Makes a client read and write values as Drizzle expects. */
export const copyParsers = (model: Sql, client: Sql): void => {
  Object.assign(client.options.parsers, model.options.parsers)
  Object.assign(client.options.serializers, model.options.serializers)
}

type QueryOptions = { prepare?: boolean | undefined }

/** A statement with the extended protocol. Without parameters postgres.js uses the simple one, which cannot prepare. */
export const sendStatement = (
  client: Sql,
  text: string,
  values: unknown[] = [],
  options: QueryOptions = {},
) => client.unsafe(text, values as ParameterOrJSON<never>[], { ...options, simple: false } as never)
