import {
  and,
  eq,
  exists,
  gt,
  isNotNull,
  isNull,
  ne,
  type SQL,
  type Subquery,
  sql,
} from 'drizzle-orm'
import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import type { MailTemplate } from '../../db/mail-tables.ts'
import { sessions, tasks, users } from '../../db/schema.ts'
import { type createUserScope, type Principal, TRUE } from '../../db/user-scope.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import { insertMessage } from '../../mail/outbox.ts'

/** The columns of `User`. */
export const userColumns = {
  id: users.id,
  email: users.email,
  name: users.name,
  created_at: users.created_at,
  email_verified: sql<boolean>`${users.email_verified_at} is not null`.as('email_verified'),
  pending_email: users.pending_email,
  time_zone: users.time_zone,
  reminders_by_mail: users.reminders_by_mail,
}

/** For password verification. A check of the table ensures that an e-mail comes with a password hash. */
export const credentialColumns = {
  id: users.id,
  email: sql<string>`${users.email}`,
  password_hash: sql<string>`${users.password_hash}`,
}

/** The members to store. The server uses the time zone once, so that one that it does not know is an error (22023). */
const inKnownZone = ({ time_zone, ...others }: { time_zone?: string }) => ({
  ...others,
  ...(time_zone !== undefined && { time_zone: usedZone(time_zone) }),
})
const usedZone = (zone: string): SQL<string> =>
  sql`case when ${now()}::timestamptz at time zone ${zone}::text is not null then ${zone}::text end`

type Scope = Pick<ReturnType<typeof createUserScope>, 'sessionRow' | 'lockedUser'> & {
  notices: NoticeStatements
}

/** With another time zone, reminders of days have other times, which the delivery calculates (`tasks/reminders`). */
const replanned = (db: Db, userId: string, set: object, updated: Subquery) => {
  if (!('time_zone' in set)) return []
  const isWaiting = and(
    eq(tasks.user_id, userId),
    isNotNull(tasks.due_on),
    isNull(tasks.deleted_at),
    gt(tasks.remind_at, now()),
    exists(db.select().from(updated)),
  )
  const waiting = db.update(tasks).set({ remind_at: now() }).where(isWaiting)
  return [db.$with('replanned').as(waiting.returning({ id: tasks.id }))]
}

/** The writes of an account. `condition`: the session is live and, where it is required, the password was verified. */
export const createAccountStatements = (
  db: Db,
  { userId, sessionId }: Principal,
  { sessionRow, lockedUser, notices }: Scope,
) => {
  const account = { id: users.id, email: users.email }
  /** Changes the account, and what depends on its time zone. */
  const change = (set: object, condition: SQL | undefined) => {
    const updating = db.update(users).set(inKnownZone(set)).where(condition)
    const updated = db.$with('changed').as(updating.returning(userColumns))
    const first = [sessionRow, lockedUser, updated, ...replanned(db, userId, set, updated)] as const
    return { updated, first }
  }

  return {
    changeProfile: (profile: object, condition: SQL | undefined) => {
      const { updated, first } = change(profile, condition)
      return db
        .with(...first)
        .select()
        .from(updated)
    },

    changeEmail: (changes: { email: string }, condition: SQL | undefined) => {
      const { updated, first } = change(
        {
          ...changes,
          email_verified_at: null,
          pending_email: null,
        },
        condition,
      )
      // A statement sees the row as it was before.
      const previous = db
        .$with('previous')
        .as(db.select(account).from(users).innerJoin(updated, TRUE).where(eq(users.id, userId)))
      const noticed = notices.ofNewEmail(previous, userId)
      return db
        .with(...first, previous, ...noticed)
        .select()
        .from(updated)
    },

    /** The account keeps its e-mail until the link that is mailed to the next one is used. */
    requestEmail: (
      { email: pending_email, ...others }: { email: string },
      condition: SQL | undefined,
      template: MailTemplate,
    ) => {
      const { updated, first } = change({ ...others, pending_email }, condition)
      const next = db
        .$with('next')
        .as(db.select({ id: updated.id, email: updated.pending_email }).from(updated))
      const message = insertMessage(db, next, { userId, template })
      return db
        .with(...first, next, message)
        .select()
        .from(updated)
    },

    changePassword: (password_hash: string, condition: SQL | undefined) => {
      const { updated, first } = change({ password_hash }, condition)
      const others = and(eq(sessions.user_id, userId), ne(sessions.id, sessionId))
      const deleted = db.delete(sessions).where(and(others, exists(db.select().from(updated))))
      const ended = db.$with('ended').as(deleted.returning({ id: sessions.id }))
      const noticed = notices.ofNewPassword(updated, userId)
      return db
        .with(...first, ended, ...noticed)
        .select()
        .from(updated)
    },

    erase: (condition: SQL | undefined) => {
      const deleting = db.delete(users).where(condition).returning(account)
      const deleted = db.$with('deleted').as(deleting)
      const noticed = notices.ofErasure(deleted, userId)
      return db
        .with(sessionRow, lockedUser, deleted, ...noticed)
        .select()
        .from(deleted)
    },
  }
}
