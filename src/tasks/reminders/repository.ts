import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import { arrayLiteral } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { tasks } from '../../db/schema.ts'
import { deliverStatement, upcomingStatement } from './statements.ts'

/** Tasks whose reminders may be due, and the time of the next ones, which are later. */
export type Upcoming = { due: Due[]; nextAt: string | undefined }
export type Due = { userId: string; ids: string[] }

/** The reminders of all users. Any number of instances deliver them: each statement delivers what no other one has. */
export const createReminderRepository = (db: Db, { hasMail }: { hasMail: boolean }) => {
  const upcoming = prepareStatement(db, () => upcomingStatement(db))
  const deliver = prepareStatement(db, () => deliverStatement(db))

  return {
    /** The earliest `rows` tasks with reminders, by user. */
    async upcoming(rows: number): Promise<Upcoming> {
      const at = now()
      const found = (await runRead(() => upcoming.execute({ rows }))).map((row) => ({
        ...row,
        remind_at: String(tasks.remind_at.mapFromDriverValue(row.remind_at)),
      }))
      const due = Map.groupBy(
        found.filter(({ remind_at }) => remind_at <= at),
        ({ user_id }) => user_id,
      )
      return {
        due: [...due].map(([userId, own]) => ({ userId, ids: own.map(({ id }) => id) })),
        nextAt: found.find(({ remind_at }) => remind_at > at)?.remind_at,
      }
    },

    /** Delivers what is due of a user's tasks. Returns how many reminders of how many tasks, and whether a mail has them. */
    async deliver(userId: string, ids: readonly string[]) {
      const [row] = await runWrite(() =>
        deliver.execute({
          user: userId,
          ids: arrayLiteral(ids),
          now: now(),
          hasMail,
          message: Bun.randomUUIDv7(),
        }),
      )
      return row ?? { tasks: 0, delivered: 0, isMailed: false }
    },
  }
}

export type ReminderRepository = ReturnType<typeof createReminderRepository>
