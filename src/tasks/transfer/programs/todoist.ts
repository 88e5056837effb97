import { toTimeZone } from '../../../schema/calendar.ts'
import type { Dropped } from '../dropped.ts'
import type { Record } from '../parsed.ts'
import { keptReminders, minutesBefore } from '../reminders.ts'
import {
  type CsvTask,
  isJson,
  type Json,
  known,
  objectsOf,
  type ReadProgram,
  refuseFile,
  textOf,
} from './source.ts'

const expected = 'a project of Todoist as CSV, or tasks of its API as JSON'

/** From the highest priority, which is 1 in CSV and 4 in JSON. */
const priorities = ['urgent', 'high', 'normal', 'normal']

/** Todoist: a project as CSV, or its API (`items` with `projects`, or an array of tasks) as JSON. */
export const readTodoist: ReadProgram = (file, dropped) => {
  if ('rows' in file) {
    if (!file.rows.every(({ cells }) => 'type' in cells && 'content' in cells))
      return refuseFile(expected)
    return file.rows.flatMap((row) => fromRow(row, dropped))
  }
  const { json } = file
  const items = Array.isArray(json) ? json : isJson(json) ? json.items : undefined
  if (!Array.isArray(items)) return refuseFile(expected)
  const projects = isJson(json) ? objectsOf(json.projects) : []
  const names = new Map(
    projects.map((one) => [
      one.id,
      one.inbox_project || one.is_inbox_project ? undefined : textOf(one.name),
    ]),
  )
  const root = Array.isArray(json) ? '' : '/items'
  const reminders = Map.groupBy(
    isJson(json) ? objectsOf(json.reminders) : [],
    ({ item_id }) => item_id,
  )
  return items.map((item: unknown, at) => ({
    pointer: `${root}/${at}`,
    value: isJson(item)
      ? fromItem(
          item,
          { list: names.get(item.project_id), reminders: reminders.get(item.id) ?? [] },
          dropped,
        )
      : item,
  }))
}

const columns = new Set([
  'type',
  'content',
  'description',
  'priority',
  'date',
  'date_lang',
  'timezone',
  'author',
])

/** Rows that are not tasks are sections, comments and settings of the view. */
const fromRow = ({ cells, line }: CsvTask, dropped: Dropped): Record[] => {
  const { type = '', content = '' } = cells
  if (type !== 'task') {
    if (type !== '' && type !== 'meta') dropped.add(type)
    return []
  }
  const shown = {
    ...cells,
    indent: cells.indent === '1' ? '' : cells.indent,
    date_lang: '',
    deadline_lang: '',
  }
  dropped.addOthers(shown, columns)
  const { title, tags } = withoutLabels(content)
  const due = dueOf(cells.date, cells.timezone)
  if (cells.date && Object.keys(due).length === 0) dropped.add('date')
  const value = known({
    title,
    description: textOf(cells.description),
    priority: priorities[Number(cells.priority ?? 4) - 1],
    tags,
    ...due,
  })
  return [{ pointer: `/line/${line}`, value }]
}

/** A longer content is refused as a title anyway. */
const contentMax = 2000

/** `Buy milk @home @shop`: labels at the end of the content. A leading `* ` marks a task without a checkbox. */
const withoutLabels = (content: string) => {
  if (content.length > contentMax) return { title: content, tags: [] }
  const [, title = content, labels = ''] = /^(.*?)((?:\s+@[^\s@]+)*)\s*$/s.exec(content) ?? []
  return { title: title.replace(/^\* /, ''), tags: labels.split(/\s+@/).slice(1) }
}

/** A day, or a time in a zone. Dates in words cannot be imported. */
const dueOf = (date = '', zone = '') => {
  const [, day, time] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?Z?)?$/.exec(date.trim()) ?? []
  if (day === undefined) return {}
  if (time === undefined) return { due_on: day }
  const inZone = date.trim().endsWith('Z') ? 'UTC' : (toTimeZone(zone) ?? 'UTC')
  try {
    const { epochMilliseconds } = Temporal.PlainDateTime.from(`${day}T${time}`).toZonedDateTime(
      inZone,
    )
    return { due_at: new Date(epochMilliseconds).toISOString() }
  } catch {
    return {}
  }
}

const handled = new Set([
  'content',
  'description',
  'priority',
  'due',
  'labels',
  'checked',
  'is_completed',
  'completed_at',
  'added_at',
  'created_at',
  'id',
  'v2_id',
  'project_id',
  'user_id',
  'creator_id',
  'added_by_uid',
  'updated_at',
  'child_order',
  'order',
  'day_order',
  'url',
  'comment_count',
  'note_count',
  'sync_id',
  'is_deleted',
  'collapsed',
  'is_collapsed',
])

type Context = { list: string | undefined; reminders: readonly Json[] }

const fromItem = (item: Json, { list, reminders }: Context, dropped: Dropped) => {
  dropped.addOthers(item, handled)
  const due = isJson(item.due) ? item.due : {}
  const isCompleted = item.checked === true || item.is_completed === true
  const members = dueOf(textOf(due.datetime) ?? textOf(due.date), String(due.timezone ?? ''))
  if (due.is_recurring === true) dropped.add('due recurrence')
  return known({
    title: item.content,
    description: textOf(item.description),
    priority: priorities[4 - Number(item.priority ?? 1)],
    tags: Array.isArray(item.labels) ? item.labels : undefined,
    completed: isCompleted,
    completed_at: isCompleted ? textOf(item.completed_at) : undefined,
    created_at: textOf(item.added_at) ?? textOf(item.created_at),
    ...members,
    reminders: keptReminders(reminders.map(reminderOf), dropped, 'reminders'),
    list,
  })
}

/** A place has no counterpart. */
const reminderOf = ({ type, minute_offset, due }: Json) => {
  if (type === 'relative') return minutesBefore(Number(minute_offset))
  const { date, datetime, timezone } = isJson(due) ? due : {}
  const { due_at } = dueOf(textOf(datetime) ?? textOf(date), String(timezone ?? ''))
  return due_at === undefined ? undefined : { at: due_at }
}
