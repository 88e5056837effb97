import type { Content } from './layout.ts'

export type RemindedTask = { title: string; due_at: string | null; due_on: string | null }

/** Reminders that one mail shows. */
export const remindersShownMax = 20
/** Code points of a title in a subject. */
const subjectTitleMax = 100

/** Reminders that are due at the same time. `total` may be more than the tasks that are shown. */
export const reminders = (
  tasks: readonly RemindedTask[],
  total: number,
  timeZone: string,
): Content => ({
  subject: subjectOf(tasks, total),
  before: [
    ...tasks.map((task) => `${oneLine(task.title)}${dueText(task, timeZone)}`),
    ...(total > tasks.length ? [`And ${total - tasks.length} more.`] : []),
  ],
  after: ['To receive no reminders by mail: PATCH /api/auth/me with {"reminders_by_mail": false}.'],
})

const subjectOf = ([first]: readonly RemindedTask[], total: number): string => {
  if (total > 1) return `${total} reminders`
  const title = [...oneLine(first?.title ?? '')]
  const isLong = title.length > subjectTitleMax
  return `Reminder: ${title.slice(0, subjectTitleMax).join('')}${isLong ? '…' : ''}`
}

const oneLine = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, ' ').trim()

/** `, due 24 December 2026 at 18:00 (Europe/Berlin)`, or without a time for a day. */
const dueText = ({ due_at, due_on }: RemindedTask, timeZone: string): string => {
  if (due_on !== null)
    return `, due ${Temporal.PlainDate.from(due_on).toLocaleString('en-GB', { dateStyle: 'long' })}`
  if (due_at === null) return ''
  const time = Temporal.Instant.from(due_at).toZonedDateTimeISO(timeZone)
  const day = time.toPlainDate().toLocaleString('en-GB', { dateStyle: 'long' })
  const hour = time.toPlainTime().toString({ smallestUnit: 'minute' })
  return `, due ${day} at ${hour} (${timeZone})`
}
