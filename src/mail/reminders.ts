import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import type { Db } from '../db/database.ts'
import { runRead } from '../db/errors.ts'
import { reminderEvents, tasks, users } from '../db/schema.ts'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import type { Message } from './outbox.ts'
import { type RemindedTask, reminders, remindersShownMax } from './templates/reminders.ts'

/** Mails per user and day, so that an account cannot flood an address. Other reminders are events only. */
const mailsPerDayMax = 100
const dayMs = 86_400_000

/** The tasks that a message reminds of, unless they were completed or deleted since, and the present address of the user. */
const findReminded = (db: Db, { user_id, id }: Message) =>
  runRead(() =>
    db
      .select({
        title: tasks.title,
        due_at: tasks.due_at,
        due_on: tasks.due_on,
        email: sql<string>`${users.email}`,
        time_zone: users.time_zone,
        total: sql<number>`count(*) over ()`.mapWith(Number),
      })
      .from(reminderEvents)
      .innerJoin(
        tasks,
        and(eq(tasks.user_id, reminderEvents.user_id), eq(tasks.id, reminderEvents.task_id)),
      )
      .innerJoin(users, eq(users.id, reminderEvents.user_id))
      .where(
        and(
          eq(reminderEvents.user_id, user_id),
          eq(reminderEvents.message_id, id),
          eq(tasks.completed, false),
          isNull(tasks.deleted_at),
          isNull(users.disabled_at),
          eq(users.reminders_by_mail, true),
        ),
      )
      .orderBy(asc(reminderEvents.id))
      .limit(remindersShownMax),
  )

/** Returns the function that composes the mail with the reminders of a message; undefined if none is left. */
export const createReminderComposer =
  ({ db, rateLimitStore }: { db: Db; rateLimitStore: RateLimitCounters }) =>
  async (message: Message) => {
    const rows = await findReminded(db, message)
    const [first] = rows
    if (first === undefined) return undefined
    const key = `reminder-mails:${message.user_id}`
    const { count } = await rateLimitStore.add(key, dayMs, mailsPerDayMax)
    if (count > mailsPerDayMax) return undefined
    const shown: RemindedTask[] = rows
    return { to: first.email, content: reminders(shown, first.total, first.time_zone) }
  }

export type ReminderComposer = ReturnType<typeof createReminderComposer>
