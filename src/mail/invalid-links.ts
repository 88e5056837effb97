import { type SQLWrapper, type Subquery, sql } from 'drizzle-orm'
import { now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { mailLinks } from '../db/schema.ts'

/** A CTE that makes all links of a user invalid, also those of messages that are not sent yet, if `source` has a row. */
export const invalidateLinks = (db: Db, source: Subquery, userId: string) => {
  const kind = sql`unnest(array['reset', 'verify'])`
  const row = {
    user_id: sql`${userId}::uuid`.as('user_id'),
    kind: kind.as('kind'),
    email: sql`''`.as('address'),
    message_id: sql`${Bun.randomUUIDv7()}::uuid`.as('message_id'),
    token_hash: sql`null::text`.as('token_hash'),
    expires_at: sql`${now()}::timestamptz`.as('expires_at'),
  }
  return db.$with('invalidated').as(
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

/** Larger than every UUIDv7: no message can renew the link. */
const lastMessageId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
/** Such a row is not purged. */
const never = '9999-12-31T00:00:00.000Z'

/**
 * Makes all verification links of a user invalid, also future ones: two people have signed up with the address, and a
 * link would verify the password of the first. Only a new password, which proves the address, ends this.
 */
export const withoutVerification = (db: Db, lockedUser: Subquery & { user_id: SQLWrapper }) => {
  const row = {
    user_id: sql`${lockedUser.user_id}`.as('owner'),
    kind: sql`'verify'`.as('kind'),
    email: sql`''`.as('address'),
    message_id: sql`${lastMessageId}::uuid`.as('message_id'),
    token_hash: sql`null::text`.as('token_hash'),
    expires_at: sql`${never}::timestamptz`.as('expires_at'),
  }
  return db.$with('closed').as(
    db
      .insert(mailLinks)
      .select(db.select(row).from(lockedUser))
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
