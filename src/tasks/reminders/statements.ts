import { and, asc, eq, isNotNull, isNull, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { nowParam, param } from '../../db/params.ts'
import { mailMessages, reminderEvents, tasks, users } from '../../db/schema.ts'
import { isStarted, placeholders, takeNextChange } from '../../db/user-scope.ts'

const hasReminder = and(isNull(tasks.deleted_at), isNotNull(tasks.remind_at))

/** The next tasks of all users whose reminders may be due, earliest first. */
export const upcomingStatement = (db: Db) =>
  db
    .select({ user_id: tasks.user_id, id: tasks.id, remind_at: sql<string>`${tasks.remind_at}` })
    .from(tasks)
    .where(hasReminder)
    .orderBy(asc(tasks.remind_at))
    .limit(sql.placeholder('rows'))

/** Each time of the reminders of `due`, a row of which has the time zone too. */
const times = sql`select distinct due.id, due.remind_at as since,
    case when one ? 'at' then (one ->> 'at')::timestamptz
      else coalesce(due.due_at, (due.due_on + time '09:00') at time zone due.time_zone)
        - make_interval(mins => (one ->> 'minutes_before')::int) end as remind_at
  from due, jsonb_array_elements(due.reminders) as reminder (one)
  where not due.completed`

/** Sorts by its time (48 bits of milliseconds), and is the same whoever delivers the reminder. */
const eventId = sql`(lpad(to_hex(fired.ms & 281474976710655), 12, '0')
  || substr(encode(sha256(convert_to(fired.id || ' ' || fired.ms, 'UTF8')), 'hex'), 1, 20))::uuid`

/** The mail for what `fired` has, if the user wants it and the service sends mail. */
const mailCtes = (db: Db) => {
  const account = db.$with('account').as(
    db
      .select({ email: users.email })
      .from(users)
      .where(
        and(
          eq(users.id, placeholders.user),
          isNotNull(users.email),
          isNull(users.disabled_at),
          eq(users.reminders_by_mail, true),
          sql`${param('hasMail', 'boolean')} and exists (select from fired)`,
        ),
      ),
  )
  const message = db.$with('message').as(
    db
      .insert(mailMessages)
      .select(sql`select ${placeholders.user}::uuid, ${param('message', 'uuid')}, 'reminders', ${account.email}, ${nowParam}, 0,
        ${nowParam} from ${account}`)
      .returning({ id: mailMessages.id }),
  )
  return { account, message }
}

/**
 * Delivers the reminders of some tasks of a user that are due: an event for each, and one mail for all if the user wants it.
 * Then each task waits for its next reminder.
 *
 * It locks what every write locks, in the same order, so that a reminder is delivered once, and not after the write that
 * completed its task. Times are calculated here, because the time zone of the user may change.
 */
export const deliverStatement = (db: Db) => {
  const isOwn = eq(tasks.user_id, placeholders.user)
  const isNamed = sql`${tasks.id} = any(${param('ids', 'uuid[]')})`
  const nextChange = takeNextChange(db, placeholders.user)
  const due = db.$with('due').as(
    db
      .select({
        id: tasks.id,
        remind_at: tasks.remind_at,
        reminders: tasks.reminders,
        due_at: tasks.due_at,
        due_on: tasks.due_on,
        completed: tasks.completed,
        time_zone:
          sql<string>`(select ${users.time_zone} from ${users} where ${users.id} = ${placeholders.user})`.as(
            'time_zone',
          ),
      })
      .from(tasks)
      .where(and(isOwn, isNamed, hasReminder, isStarted(nextChange)))
      .for('update'),
  )
  const all = db.$with('all_times', {}).as(times)
  const fired = db
    .$with('fired', {})
    .as(sql`select id, remind_at, (extract(epoch from remind_at) * 1000)::bigint as ms
      from all_times where remind_at between since and ${nowParam}`)
  const { account, message } = mailCtes(db)
  const events = db.$with('events').as(
    db
      .insert(reminderEvents)
      .select(sql`select ${nextChange.user_id}, ${eventId}, fired.id, fired.remind_at, ${nowParam},
        (select ${param('message', 'uuid')} from ${account}), ${nextChange.change} from fired, ${nextChange}`)
      .onConflictDoNothing()
      .returning({ id: reminderEvents.id }),
  )
  const waiting = db.$with('waiting').as(
    db
      .update(tasks)
      .set({
        remind_at: sql`(select min(later.remind_at) from all_times as later
          where later.id = ${tasks.id} and later.remind_at > ${nowParam})`,
      })
      .from(due)
      .where(and(isOwn, eq(tasks.id, due.id)))
      .returning({ id: tasks.id }),
  )
  return db
    .with(nextChange, due, all, fired, account, message, events, waiting)
    .select({
      tasks: sql<number>`(select count(*) from ${waiting})::int`,
      delivered: sql<number>`(select count(*) from ${events})::int`,
      isMailed: sql<boolean>`exists (select from ${message})`,
    })
    .from(nextChange)
}
