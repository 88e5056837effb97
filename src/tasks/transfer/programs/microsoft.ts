import { toTimeZone } from '../../../schema/calendar.ts'
import type { Dropped } from '../dropped.ts'
import { graphRule } from './microsoft-recurrence.ts'
import { fromOutlook, microsoftPriorities } from './outlook.ts'
import {
  dayOfMidnight,
  isJson,
  type Json,
  keptRecurrence,
  known,
  objectsOf,
  type ReadProgram,
  refuseFile,
  textOf,
} from './source.ts'

const expected = 'tasks of Microsoft Graph as JSON, or tasks of Outlook as CSV'

/** Microsoft To Do: tasks as Microsoft Graph returns them (`{"value": […]}`, also within lists), or the CSV of Outlook. */
export const readMicrosoft: ReadProgram = (file, dropped) => {
  if ('rows' in file) {
    if (!file.rows.every(({ cells }) => 'subject' in cells)) return refuseFile(expected)
    return file.rows.map((row) => ({
      pointer: `/line/${row.line}`,
      value: fromOutlook(row, dropped),
    }))
  }
  const { json } = file
  const value = Array.isArray(json) ? json : isJson(json) ? json.value : undefined
  if (!Array.isArray(value)) return refuseFile(expected)
  const root = Array.isArray(json) ? '' : '/value'
  return objectsOf(value).flatMap((one, at) => {
    const pointer = `${root}/${at}`
    if (!Array.isArray(one.tasks)) return [{ pointer, value: fromGraph(one, undefined, dropped) }]
    const list = textOf(one.displayName)
    return objectsOf(one.tasks).map((task, nth) => ({
      pointer: `${pointer}/tasks/${nth}`,
      value: fromGraph(task, list, dropped),
    }))
  })
}

const handled = new Set([
  'title',
  'body',
  'status',
  'importance',
  'dueDateTime',
  'completedDateTime',
  'createdDateTime',
  'categories',
  'recurrence',
  'id',
  '@odata.etag',
  'lastModifiedDateTime',
  'bodyLastModifiedDateTime',
  'hasAttachments',
  'isReminderOn',
  'reminderDateTime',
])
const unchanged = new Set(['notStarted', 'completed'])

const fromGraph = (task: Json, list: string | undefined, dropped: Dropped) => {
  dropped.addOthers(task, handled)
  if (typeof task.status === 'string' && !unchanged.has(task.status))
    dropped.add(`status ${task.status}`)
  const body = isJson(task.body) ? task.body : {}
  if (body.contentType === 'html') dropped.add('body format')
  const due = dueOf(task.dueDateTime)
  const recurrence = isJson(task.recurrence)
    ? keptRecurrence(graphRule(task.recurrence), due.due, dropped, 'recurrence')
    : undefined
  const reminder = task.isReminderOn === true ? dueOf(task.reminderDateTime).instant : undefined
  const isCompleted = task.status === 'completed'
  return known({
    title: task.title,
    description: textOf(body.content),
    priority: microsoftPriorities.get(String(task.importance)),
    due_on: due.day,
    due_at: due.time,
    recurrence: recurrence && { ...recurrence, ...(due.zone && { time_zone: due.zone }) },
    reminders: reminder && [{ at: reminder }],
    tags: Array.isArray(task.categories) ? task.categories : undefined,
    completed: isCompleted,
    completed_at: isCompleted ? dueOf(task.completedDateTime).instant : undefined,
    created_at: textOf(task.createdDateTime),
    list,
  })
}

/** A `dateTimeTimeZone`. A time at midnight is a day. Zones that are not of the IANA database are read as UTC. */
const dueOf = (value: unknown) => {
  const text = isJson(value) ? textOf(value.dateTime) : undefined
  if (!isJson(value) || text === undefined) return {}
  const day = dayOfMidnight(text)
  const zone = toTimeZone(String(value.timeZone)) ?? 'UTC'
  const local = text.replace(/(\.\d{1,9})\d*$/, '$1')
  const instant = instantOf(local, zone)
  return {
    day,
    time: day ? undefined : instant,
    due: day ?? instant,
    instant,
    zone: day ? undefined : zone,
  }
}

const instantOf = (local: string, zone: string): string => {
  try {
    const { epochMilliseconds } = Temporal.PlainDateTime.from(local).toZonedDateTime(zone)
    return new Date(epochMilliseconds).toISOString()
  } catch {
    return local
  }
}
