import { and, eq, lte, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { violates } from '../db/faults.ts'
import { anyone, partsOf } from '../db/live.ts'
import { idempotencyKeys } from '../db/schema.ts'
import { at, given } from './statements.ts'

/** Under which key an effect may happen once. `fingerprint`: of the request that asks for it. */
export type Once = { route: string; key: string; fingerprint: string }
export type KeptAnswer = { fingerprint: string; body: string; etag: string | null }

/** Another request under the same key is not done yet, and has no answer to give. */
export type InFlight = { inFlight: true }

/** A twin that broke the key's uniqueness finds the first one's answer when it asks again. */
export const orAgain = async <T>(run: () => Promise<T>): Promise<T | InFlight> => {
  const isTwin = (error: unknown) => violates(error, 'idempotency_keys_user_id_route_key_pk')
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
export const onceParts = (db: Db) => {
  const sameKey = and(
    eq(idempotencyKeys.user_id, anyone.user),
    eq(idempotencyKeys.route, sql.placeholder('route')),
    eq(idempotencyKeys.key, sql.placeholder('key')),
  )
  const earlier = db.$with('earlier').as(
    db
      .select({
        fingerprint: idempotencyKeys.fingerprint,
        body: idempotencyKeys.body,
        etag: idempotencyKeys.etag,
      })
      .from(idempotencyKeys)
      .where(and(sameKey, sql`${idempotencyKeys.expires_at} > ${at}`)),
  )
  const expired = db.$with('expired').as(
    db
      .delete(idempotencyKeys)
      .where(
        and(eq(idempotencyKeys.user_id, anyone.user), lte(idempotencyKeys.expires_at, anyone.now)),
      )
      .returning({ key: idempotencyKeys.key }),
  )
  const { live } = partsOf(db, anyone)
  /**
   * Keeps a `body` (JSON) and an `etag` from a CTE of one row, or none, that the effect is in.
   * The expired go first, since a key may be used anew in the statement that removes it.
   */
  const keep = (body: SQL, etag: SQL, from: SQL) => {
    const row = sql`select ${given('user', 'uuid')}, ${given('route', 'text')},
      ${given('key', 'text')}, ${given('fingerprint', 'text')}, ${body}::text, ${etag}::text,
      ${at} + interval '24 hours' from ${from} where (select count(*) from ${expired}) >= 0
      and exists (select from ${live})`
    return db
      .$with('kept')
      .as(db.insert(idempotencyKeys).select(row).returning({ key: idempotencyKeys.key }))
  }
  const isFirst = sql`not exists (select from ${earlier})`
  return { earlier, expired, keep, isFirst }
}
