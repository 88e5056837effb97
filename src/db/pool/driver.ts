import postgres, { type ParameterOrJSON, type Sql } from 'postgres'

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
