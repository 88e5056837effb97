import { and, eq, lte, type SQL, sql } from 'drizzle-orm'
import { nowParam, param } from '../tasks/task/sql.ts'
import type { Db } from './client.ts'
import { violatesConstraint } from './faults.ts'
import { idempotencyKeys } from './schema.ts'
import { createUserScope, placeholders } from './user-scope.ts'

/** Under which key an effect may happen once. `fingerprint`: of the request that asks for it. */
export type IdempotencyKey = { route: string; key: string; fingerprint: string }
export type StoredResponse = { fingerprint: string; body: string; etag: string | null }

/** Another request under the same key is not done yet, and has no answer to give. */
export type KeyInFlight = { inFlight: true }

/** A twin that broke the key's uniqueness finds the first one's answer when it asks again. */
export const retryOnConflict = async <T>(run: () => Promise<T>): Promise<T | KeyInFlight> => {
  const isTwin = (error: unknown) =>
    violatesConstraint(error, 'idempotency_keys_user_id_route_key_pk')
  try {
    return await run()
  } catch (error) {
    if (!isTwin(error)) throw error
  }
  try {
    return await run()
  } catch (error) {
    if (!isTwin(error)) throw error
    return { inFlight: true }
  }
}

/**
 * The parts of a statement that answers an `Idempotency-Key` once.
 *
 * `earlier` is the kept answer, and stops the effect. `keep` writes the answer of this
 * one: of twins that saw no earlier answer, the second breaks the key's uniqueness, and
 * its whole statement is undone.
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
   * Keeps a `body` (JSON) and an `etag` from a CTE of one row, or none, that the effect is in.
   * The expired go first, since a key may be used anew in the statement that removes it.
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
