import { createHash } from 'node:crypto'
import type { IdempotencyKey, StoredResponse } from '../db/idempotency.ts'
import { throwInvalidRequest, throwProblem } from './problem.ts'

/**
 * What `Idempotency-Key` asks for (draft-ietf-httpapi-idempotency-key-header), or nothing
 * without it: 1 to 255 printable ASCII characters, quoted or not. A key is good for one
 * method and path; body, query and `If-Match` are what it was first used with.
 */
export const parseIdempotencyKey = (
  request: Request,
  body: unknown,
): IdempotencyKey | undefined => {
  const sent = request.headers.get('idempotency-key')
  if (sent === null) return undefined
  const key = /^"(.*)"$/.exec(sent)?.[1] ?? sent
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    return throwInvalidRequest(
      '/idempotency-key',
      'must be 1 to 255 printable ASCII characters',
      'header',
    )

  const { pathname, search } = new URL(request.url)
  const condition = request.headers.get('if-match') ?? ''
  return {
    route: `${request.method} ${pathname}`,
    key,
    fingerprint: createHash('sha256')
      .update(JSON.stringify([search, condition, body]))
      .digest('base64url'),
  }
}

/** How a route that takes a key and a body may refuse for them. */
export const idempotencyProblems = [
  'idempotency-in-flight',
  'idempotency-mismatch',
  'invalid-request',
] as const

/** The kept answer's body, marked as a replay; 422 where the key was used for another request. */
export const replayResponse = (
  { fingerprint, body, etag }: StoredResponse,
  idempotencyKey: IdempotencyKey,
  headers: Record<string, string | number>,
): unknown => {
  if (fingerprint !== idempotencyKey.fingerprint) throwProblem('idempotency-mismatch')
  headers['idempotency-replayed'] = 'true'
  if (etag !== null) headers.etag = etag
  return JSON.parse(body)
}
