import type ICAL from 'ical.js'
import type { Reminder } from '../../../schema/types.ts'
import type { Task } from '../../task/schema.ts'
import { minutesBefore, minutesUntilNine } from '../reminders.ts'
import { type FoundDue, instantOf } from './calendar-times.ts'

/*
 * Reminders are VALARM components (RFC 5545 §3.6.6). An alarm of a day counts from its midnight, a reminder from 09:00. Both
 * are the same time, except on days with a change of the clock between the two.
 */

/** The reminder of a VALARM; undefined if a task cannot have it. */
export const reminderOf = (
  alarm: ICAL.Component,
  due: FoundDue,
  hasStart: boolean,
  zones: ReadonlyMap<string, ICAL.Timezone>,
): Reminder | undefined => {
  const trigger = alarm.getFirstProperty('trigger')
  const value = trigger?.getFirstValue()
  if (!trigger || typeof value !== 'object' || value === null) return undefined
  if ('isDate' in value) {
    const at = instantOf(trigger, zones)
    return at === undefined ? undefined : { at }
  }
  if (!('toSeconds' in value)) return undefined
  // Without a start, an alarm counts from the due date.
  const isOfStart = String(trigger.getParameter('related') ?? 'START').toUpperCase() === 'START'
  if (isOfStart && hasStart && !due.hasStart) return undefined
  const minutes = -(value as ICAL.Duration).toSeconds() / 60
  if (due.due_on !== undefined) return minutesBefore(minutes + minutesUntilNine)
  return due.due_at === undefined ? undefined : minutesBefore(minutes)
}

/** The VALARM components of a task. `utc` formats a time, `summary` is the escaped title. */
export const alarmLines = (
  { reminders, due_at, due_on }: Task,
  utc: (timestamp: string) => string,
  summary: string,
): string[] =>
  reminders.flatMap((reminder) => {
    const trigger = triggerOf(reminder, due_on !== null, utc)
    // Without a due date there is nothing to count from.
    const isPossible = 'at' in reminder || due_at !== null || due_on !== null
    return isPossible
      ? ['BEGIN:VALARM', 'ACTION:DISPLAY', `DESCRIPTION:${summary}`, trigger, 'END:VALARM']
      : []
  })

const triggerOf = (
  reminder: Reminder,
  isOfDay: boolean,
  utc: (timestamp: string) => string,
): string => {
  if ('at' in reminder) return `TRIGGER;VALUE=DATE-TIME:${utc(reminder.at)}`
  const minutes = reminder.minutes_before - (isOfDay ? minutesUntilNine : 0)
  return `TRIGGER;RELATED=END:${minutes > 0 ? '-' : ''}PT${Math.abs(minutes)}M`
}
