import { type Reminder, reminderMinutesMax } from '../../schema/types.ts'
import { remindersMax } from '../task/schema.ts'
import type { Dropped } from './dropped.ts'

/** Minutes before the time to which a reminder of a day counts: 09:00. */
export const minutesUntilNine = 9 * 60

/** A reminder some minutes before a due date; undefined if a task cannot have it. */
export const minutesBefore = (minutes: number): Reminder | undefined =>
  Number.isInteger(minutes) && minutes >= 0 && minutes <= reminderMinutesMax
    ? { minutes_before: minutes }
    : undefined

/** The reminders that a task can have; the others are reported as `member`. Undefined if there are none. */
export const keptReminders = (
  reminders: readonly (Reminder | undefined)[],
  dropped: Dropped,
  member: string,
): Reminder[] | undefined => {
  const possible = reminders.flatMap((one) => one ?? []).slice(0, remindersMax)
  if (possible.length < reminders.length) dropped.add(member)
  return possible.length > 0 ? possible : undefined
}
