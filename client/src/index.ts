export type { ImportOptions, ImportSource } from './bulk.ts'
export { type ClientOptions, createClient, type Tasks, type TaskwardenClient } from './client.ts'
export type { ChangesQuery, Items, PageQuery } from './listing.ts'
export type { ListRef } from './lists.ts'
export type { components, paths } from './openapi.ts'
export {
  isProblem,
  type Problem,
  type ProblemCode,
  type ProblemDetail,
  ProblemError,
  ResponseError,
} from './problem.ts'
export { type KeyedOptions, type RequestOptions, type TaskRef, unwrap } from './request.ts'
export type { Fetch, RetryOptions } from './retry.ts'
export { createMemoryTokenStore, type TokenStore, type Tokens } from './tokens.ts'
export type * from './types.ts'
