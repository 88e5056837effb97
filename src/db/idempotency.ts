import { and, eq, lte, type SQL, sql } from 'drizzle-orm'
import type { Db } from './database.ts'
import { violatesConstraint } from './errors.ts'
import { nowParam, param } from './params.ts'
import { idempotencyKeys } from './schema.ts'
import { createUserScope, placeholders } from './user-scope.ts'

/** The key that a request has its effect under, once. `fingerprint` is a hash of the request. */
export type IdempotencyKey = { route: string; key: string; fingerprint: string }
export type StoredResponse = { fingerprint: string; body: string; etag: string | null }

/** Another request with the same key has not finished, so there is no response to replay. */
export type KeyInFlight = { inFlight: true }

/** Runs a statement again after a conflict of the key: then it finds the response of the first request. */
export const retryOnConflict = async <T>(run: () => Promise<T>): Promise<T | KeyInFlight> => {
  const isConflict = (error: unknown) =>
    violatesConstraint(error, 'idempotency_keys_user_id_route_key_pk')
  try {
    return await run()
  } catch (error) {
    if (!isConflict(error)) throw error
  }
  try {
    return await run()
  } catch (error) {
    if (!isConflict(error)) throw error
    return { inFlight: true }
  }
}

/**
 * The CTEs of a statement that has its effect once per `Idempotency-Key`.
 *
 * `earlierResponse` is the stored response, and prevents the effect. `storeResponse` stores the response of this
 * statement. Of two concurrent statements that find no stored response, the second violates the unique key, and all
 * its effects are rolled back.
 */
export const createIdempotencyCtes = (db: Db) => {
  const sameKey = and(
    eq(idempotencyKeys.user_id, placeholders.user),
    eq(idempotencyKeys.route, sql.placeholder('route')),
    eq(idempotencyKeys.key, sql.placeholder('key')),
  )
  const earlierResponse = db.$with('earlierResponse').as(
    db
      .select({
        fingerprint: idempotencyKeys.fingerprint,
        body: idempotencyKeys.body,
        etag: idempotencyKeys.etag,
      })
      .from(idempotencyKeys)
      .where(and(sameKey, sql`${idempotencyKeys.expires_at} > ${nowParam}`)),
  )
  const expired = db.$with('expired').as(
    db
      .delete(idempotencyKeys)
      .where(
        and(
          eq(idempotencyKeys.user_id, placeholders.user),
          lte(idempotencyKeys.expires_at, placeholders.now),
        ),
      )
      .returning({ key: idempotencyKeys.key }),
  )
  const { sessionRow } = createUserScope(db, placeholders)
  /**
   * Stores a `body` (JSON) and an `etag` from a CTE that has one row if the effect happened. It depends on `expired`,
   * because a key may be used again by the statement that deletes it.
   */
  const storeResponse = (body: SQL, etag: SQL, from: SQL) => {
    const row = sql`select ${param('user', 'uuid')}, ${param('route', 'text')},
      ${param('key', 'text')}, ${param('fingerprint', 'text')}, ${body}::text, ${etag}::text,
      ${nowParam} + interval '24 hours' from ${from} where (select count(*) from ${expired}) >= 0
      and exists (select from ${sessionRow})`
    return db
      .$with('storedResponse')
      .as(db.insert(idempotencyKeys).select(row).returning({ key: idempotencyKeys.key }))
  }
  const isFirstUse = sql`not exists (select from ${earlierResponse})`
  return { earlierResponse, expired, storeResponse, isFirstUse }
}
