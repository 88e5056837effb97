import { createHash } from 'node:crypto'
import type { IdempotencyKey, StoredResponse } from '../db/idempotency.ts'
import { throwInvalidRequest, throwProblem } from './problem.ts'

/**
 * Parses `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header); undefined without the header. A key is 1 to
 * 255 printable ASCII characters, quoted or not, and belongs to one method and path. The fingerprint covers body,
 * query and `If-Match`.
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

/** The problems of a route with a body and an idempotency key. */
export const idempotencyProblems = [
  'idempotency-in-flight',
  'idempotency-mismatch',
  'invalid-request',
] as const

/** The body of the stored response, marked as a replay; 422 if the key was used for a different request. */
export const replayResponse = (
  { fingerprint, body, etag }: StoredResponse,
  key: IdempotencyKey,
  headers: Record<string, string | number>,
): unknown => {
  if (fingerprint !== key.fingerprint) throwProblem('idempotency-mismatch')
  headers['idempotency-replayed'] = 'true'
  if (etag !== null) headers.etag = etag
  return JSON.parse(body)
}
