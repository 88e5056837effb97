import type ICAL from 'ical.js'
import { throwProblem } from '../../../http/problem.ts'
import { parseRule } from '../../../recurrence/rule.ts'
import { createRuleChecker } from '../../../recurrence/rule-checker.ts'
import type { Dropped } from '../dropped.ts'
import type { Record } from '../parsed.ts'
import { known } from '../programs/source.ts'
import { keptReminders } from '../reminders.ts'
import { createTurns } from '../turns.ts'
import { reminderOf } from './calendar-alarms.ts'
import { componentsOf, unfold } from './calendar-components.ts'
import { dueOf, type FoundDue, instantOf } from './calendar-times.ts'

/**
 * The VTODO components of a calendar (RFC 5545), each with the line where it starts; 413 for more than `rowsMax`.
 *
 * Times are read in the IANA zone of their TZID, or else by the VTIMEZONE of the file; times without a zone are UTC.
 */
export const readCalendar = async (
  text: string,
  rowsMax: number,
  dropped: Dropped,
): Promise<Record[]> => {
  const { todos, zones, others } = componentsOf(text)
  if (todos.length > rowsMax) throwProblem('body-too-large')
  for (const name of others) dropped.add(name)
  // Loaded with the first calendar.
  const { default: Ical } = await import('ical.js')
  const timeZones = new Map(
    zones.flatMap(({ lines }): [string, ICAL.Timezone][] => {
      const component = parse(Ical, lines)
      if (component === undefined) return []
      const zone = new Ical.Timezone(component)
      return [[zone.tzid, zone]]
    }),
  )
  const records: Record[] = []
  const nextTurn = createTurns()
  const shared = { timeZones, dropped, isPossibleRule: createRuleChecker() }
  for (const { line, lines } of todos) {
    await nextTurn()
    const pointer = `/line/${line}`
    const todo = parse(Ical, lines) ?? withoutAlarms(Ical, lines, dropped)
    const value = todo && read(() => toRecord(todo, shared))
    records.push(
      value ? { pointer, value } : { pointer, value: undefined, unreadable: 'is not iCalendar' },
    )
  }
  return records
}

const parse = (Ical: typeof ICAL, lines: string[]): ICAL.Component | undefined => {
  const unfolded = unfold(lines)
  return unfolded && read(() => new Ical.Component(Ical.parse(unfolded.join('\r\n'))))
}

/** A task whose alarms cannot be read is one without them. */
const withoutAlarms = (Ical: typeof ICAL, lines: string[], dropped: Dropped) => {
  const edges = lines.map((line) => /^(BEGIN|END):VALARM\s*$/i.exec(line)?.[1]?.toUpperCase())
  let isInside = false
  const others = lines.filter((_, at) => {
    if (edges[at] === 'BEGIN') isInside = true
    const isKept = !isInside
    if (edges[at] === 'END') isInside = false
    return isKept
  })
  const todo = others.length < lines.length ? parse(Ical, others) : undefined
  if (todo) dropped.add('VALARM')
  return todo
}

/** The result, or undefined if the library throws: it parses some values only when they are read. */
const read = <T>(run: () => T): T | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}

/** Properties and components that a task has, or that only the calendar needs. */
const handled = new Set([
  'summary',
  'description',
  'status',
  'completed',
  'priority',
  'due',
  'dtstart',
  'duration',
  'categories',
  'rrule',
  'created',
  'uid',
  'dtstamp',
  'last-modified',
  'sequence',
  'class',
  'transp',
  'valarm',
])

type Shared = {
  timeZones: ReadonlyMap<string, ICAL.Timezone>
  dropped: Dropped
  isPossibleRule: ReturnType<typeof createRuleChecker>
}

const toRecord = (todo: ICAL.Component, shared: Shared) => {
  const { timeZones: zones, dropped, isPossibleRule } = shared
  const names = todo.getAllProperties().map(({ name }) => name)
  const components = todo.getAllSubcomponents().map(({ name }) => name)
  for (const name of new Set([...names, ...components]))
    if (!handled.has(name)) dropped.add(name.toUpperCase())

  const textOf = (name: string) => todo.getFirstPropertyValue(name)?.toString()
  const status = textOf('status')?.toUpperCase()
  const isCompleted =
    status === 'COMPLETED' || (status === undefined && todo.hasProperty('completed'))
  if (status && !['COMPLETED', 'NEEDS-ACTION'].includes(status)) dropped.add(`STATUS:${status}`)
  const due = dueOf(todo, zones)
  if (todo.hasProperty('dtstart') && !due.hasStart) dropped.add('DTSTART')
  const reminders = keptReminders(
    todo
      .getAllSubcomponents('valarm')
      .map((alarm) => read(() => reminderOf(alarm, due, todo.hasProperty('dtstart'), zones))),
    dropped,
    'VALARM',
  )
  const recurrence = recurrenceOf(todo, due, isPossibleRule)
  if (todo.hasProperty('rrule') && recurrence === undefined) dropped.add('RRULE')
  return known({
    // The UID of an exported task is its id.
    id: textOf('uid'),
    title: textOf('summary'),
    description: textOf('description') || undefined,
    priority: priorityOf(Number(textOf('priority') ?? 0)),
    due_on: due.due_on,
    due_at: due.due_at,
    recurrence,
    reminders,
    tags: tagsOf(todo),
    completed: isCompleted,
    completed_at: isCompleted ? instantOf(todo.getFirstProperty('completed'), zones) : undefined,
    created_at: instantOf(todo.getFirstProperty('created'), zones),
  })
}

/** RFC 5545 §3.8.1.9: 1 is the highest, 5 the middle, 9 the lowest, 0 undefined. */
const priorityOf = (priority: number): string => {
  if (priority === 1) return 'urgent'
  if (priority >= 2 && priority <= 4) return 'high'
  return priority >= 6 ? 'low' : 'normal'
}

const tagsOf = (todo: ICAL.Component): string[] => {
  const values = todo.getAllProperties('categories').flatMap((property) => property.getValues())
  return [...new Set(values.map((value) => String(value).trim()).filter((tag) => tag !== ''))]
}

/** The first RRULE, if this service can repeat it from the due date. */
const recurrenceOf = (
  todo: ICAL.Component,
  { due_on, due_at, zone = 'UTC' }: FoundDue,
  isPossibleRule: Shared['isPossibleRule'],
) => {
  const rrule = todo.getFirstPropertyValue('rrule')?.toString()
  const due = due_on ?? due_at
  if (rrule === undefined || due === undefined || 'mismatch' in parseRule(rrule)) return undefined
  const start = Temporal.PlainDate.from(due.slice(0, 10))
  return isPossibleRule(rrule, start) ? { rrule, time_zone: zone } : undefined
}
