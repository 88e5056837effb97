import type { Dropped } from '../dropped.ts'
import { keptReminders, minutesBefore } from '../reminders.ts'
import {
  isJson,
  type Json,
  keptRecurrence,
  known,
  objectsOf,
  type ReadProgram,
  refuseFile,
  textOf,
} from './source.ts'

const handled = new Set([
  'title',
  'description',
  'done',
  'done_at',
  'due_date',
  'priority',
  'labels',
  'created',
  'repeat_after',
  'repeat_mode',
  'id',
  'identifier',
  'index',
  'project_id',
  'list_id',
  'bucket_id',
  'position',
  'kanban_position',
  'updated',
  'created_by',
  'subscription',
  'uid',
  'reminders',
  'reminder_dates',
])
/** From 0 (unset) to 5 (“do now”). */
const priorities = ['normal', 'low', 'normal', 'high', 'urgent', 'urgent']
const unset = '0001-01-01T00:00:00Z'
const secondsPerDay = 86_400

/** Vikunja: the `data.json` of an export, an array of projects with tasks; or the tasks of its API. */
export const readVikunja: ReadProgram = (file, dropped) => {
  if (!('json' in file) || !Array.isArray(file.json))
    return refuseFile('the data.json of a Vikunja export')
  return file.json.flatMap((one: unknown, at) => {
    if (!isJson(one) || !('tasks' in one)) return [toRecord(one, undefined, `/${at}`, dropped)]
    const list = textOf(one.title)
    return objectsOf(one.tasks).map((task, nth) =>
      toRecord(task, list, `/${at}/tasks/${nth}`, dropped),
    )
  })
}

const toRecord = (task: unknown, list: string | undefined, pointer: string, dropped: Dropped) => {
  if (!isJson(task)) return { pointer, value: task }
  dropped.addOthers(task, handled)
  const due_at = timeOf(task.due_date)
  const isRepeated = Number(task.repeat_after) > 0 || task.repeat_mode === 1
  const recurrence = isRepeated
    ? keptRecurrence(recurrenceOf(task), due_at, dropped, 'repeat_after')
    : undefined
  const description = textOf(task.description)
  if (description !== undefined && tag.test(description)) dropped.add('description format')
  const value = known({
    title: task.title,
    description: description === undefined ? undefined : plainText(description),
    priority: priorities[Number(task.priority ?? 0)],
    due_at,
    recurrence,
    reminders: remindersOf(task, dropped),
    tags: objectsOf(task.labels).flatMap(({ title }) => textOf(title) ?? []),
    completed: task.done === true,
    completed_at: task.done === true ? timeOf(task.done_at) : undefined,
    created_at: timeOf(task.created),
    list,
  })
  return { pointer, value }
}

const timeOf = (value: unknown): string | undefined => {
  const text = textOf(value)
  return text === unset ? undefined : text
}

/** `relative_period`: seconds after the due date, usually negative. Versions before 0.21 have `reminder_dates`. */
const remindersOf = ({ reminders, reminder_dates }: Json, dropped: Dropped) => {
  const dates = Array.isArray(reminder_dates) ? reminder_dates : []
  const all = objectsOf(reminders).map(({ reminder, relative_period, relative_to }) => {
    const before =
      relative_to === 'due_date' ? minutesBefore(-Number(relative_period) / 60) : undefined
    return before ?? atTime(timeOf(reminder))
  })
  return keptReminders([...all, ...dates.map((date) => atTime(timeOf(date)))], dropped, 'reminders')
}

const atTime = (at: string | undefined) => (at === undefined ? undefined : { at })

/** `repeat_mode` is 0 for an interval, 1 for each month, 2 for an interval from the completion. */
const recurrenceOf = ({ repeat_after, repeat_mode }: Json) => {
  if (repeat_mode === 1) return { rrule: 'FREQ=MONTHLY' }
  const days = Number(repeat_after) / secondsPerDay
  if (!Number.isInteger(days) || days < 1) return undefined
  return { rrule: `FREQ=DAILY;INTERVAL=${days}`, from: repeat_mode === 2 ? 'completion' : 'due' }
}

/** An element of HTML; linear in the length of the text. */
const tag = /<[a-z][^<>]*>/i

/** The text of a description in HTML, with a line per paragraph or list item. */
const plainText = (html: string): string => {
  if (!tag.test(html)) return html
  const text = html
    .replace(/<(br|\/p|\/li|\/h\d|\/div)\s*\/?>/gi, '\n')
    .replace(/<[^<>]*>/g, '')
    .replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (_, name: string) => entities[name] ?? '')
  return text.trim()
}

const entities: { [name: string]: string } = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
  nbsp: ' ',
}
