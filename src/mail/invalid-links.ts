import { type SQL, type Subquery, sql } from 'drizzle-orm'
import { now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { mailLinks } from '../db/schema.ts'

/** A CTE that makes all links of a user invalid, also those of messages that are not sent yet, if `source` has a row. */
export const invalidateLinks = (db: Db, source: Subquery, userId: string) =>
  upsertInvalid(db, source, {
    name: 'invalidated',
    userId: sql`${userId}::uuid`,
    kind: sql`unnest(array['reset', 'verify'])`,
    messageId: Bun.randomUUIDv7(),
    expiresAt: now(),
  })

/** Larger than every UUIDv7: no message can renew the link. */
const lastMessageId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
/** Such a row is not purged. */
const never = '9999-12-31T00:00:00.000Z'

/**
 * Makes all verification links of a user invalid, also future ones, if `source` has a row: two people have signed up with the address, and a
 * link would verify the password of the first. Only a new password, which proves the address, ends this.
 */
export const closeVerificationLinks = (db: Db, source: Subquery, userId: string) =>
  upsertInvalid(db, source, {
    name: 'closed',
    userId: sql`${userId}::uuid`,
    kind: sql`'verify'`,
    messageId: lastMessageId,
    expiresAt: never,
  })

type Invalid = { name: string; userId: SQL; kind: SQL; messageId: string; expiresAt: string }

const upsertInvalid = (db: Db, source: Subquery, invalid: Invalid) => {
  const row = {
    user_id: invalid.userId.as('owner'),
    kind: invalid.kind.as('kind'),
    email: sql`''`.as('address'),
    message_id: sql`${invalid.messageId}::uuid`.as('message_id'),
    token_hash: sql`null::text`.as('token_hash'),
    expires_at: sql`${invalid.expiresAt}::timestamptz`.as('expires_at'),
  }
  return db.$with(invalid.name).as(
    db
      .insert(mailLinks)
      .select(db.select(row).from(source))
      .onConflictDoUpdate({
        target: [mailLinks.user_id, mailLinks.kind],
        set: {
          message_id: sql`excluded.message_id`,
          token_hash: null,
          expires_at: sql`excluded.expires_at`,
        },
      })
      .returning({ user_id: mailLinks.user_id }),
  )
}
