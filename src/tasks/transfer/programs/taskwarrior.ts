import type { Dropped } from '../dropped.ts'
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
  'description',
  'status',
  'priority',
  'due',
  'end',
  'entry',
  'project',
  'tags',
  'annotations',
  'recur',
  'id',
  'uuid',
  'urgency',
  'modified',
  'imask',
  'mask',
  'parent',
  'rtype',
  'last',
])
const priorities = new Map<string, string>([
  ['H', 'high'],
  ['M', 'normal'],
  ['L', 'low'],
])

/**
 * Taskwarrior: the output of `task export`. Tasks that are deleted, and templates of recurring tasks whose instances are
 * in the file, are left out and reported.
 */
export const readTaskwarrior: ReadProgram = (file, dropped) => {
  if (!('json' in file) || !Array.isArray(file.json)) return refuseFile('the output of task export')
  const parents = new Set(objectsOf(file.json).map(({ parent }) => parent))
  return file.json.flatMap((task: unknown, at) => {
    if (!isJson(task)) return [{ pointer: `/${at}`, value: task }]
    const isTemplate = task.status === 'recurring' && parents.has(task.uuid)
    if (task.status === 'deleted' || isTemplate) {
      dropped.add(`status ${task.status}`)
      return []
    }
    return [{ pointer: `/${at}`, value: toRecord(task, dropped) }]
  })
}

const toRecord = (task: Json, dropped: Dropped) => {
  dropped.addOthers(task, handled)
  const due = timeOf(task.due)
  const rrule = typeof task.recur === 'string' ? toRule(task.recur) : undefined
  const recurrence =
    task.recur === undefined
      ? undefined
      : keptRecurrence(rrule === undefined ? undefined : { rrule }, due, dropped, 'recur')
  if (task.status === 'waiting') dropped.add('status waiting')
  const isCompleted = task.status === 'completed'
  return known({
    title: task.description,
    description: annotationsOf(task.annotations),
    priority: priorities.get(String(task.priority)),
    due_at: due,
    recurrence,
    tags: task.tags,
    completed: isCompleted,
    completed_at: isCompleted ? timeOf(task.end) : undefined,
    created_at: timeOf(task.entry),
    list: textOf(task.project),
  })
}

/** The annotations as lines, because a task has one description. */
const annotationsOf = (annotations: unknown): string | undefined => {
  const lines = objectsOf(annotations).flatMap(({ description }) => textOf(description) ?? [])
  return lines.length === 0 ? undefined : lines.join('\n')
}

/** `20261224T180000Z` as RFC 3339. Other text is reported by the validation. */
const timeOf = (value: unknown): string | undefined =>
  textOf(value)?.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6.000Z')

const named = new Map<string, string>([
  ['daily', 'FREQ=DAILY'],
  ['day', 'FREQ=DAILY'],
  ['weekdays', 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR'],
  ['weekly', 'FREQ=WEEKLY'],
  ['sennight', 'FREQ=WEEKLY'],
  ['biweekly', 'FREQ=WEEKLY;INTERVAL=2'],
  ['fortnight', 'FREQ=WEEKLY;INTERVAL=2'],
  ['monthly', 'FREQ=MONTHLY'],
  ['month', 'FREQ=MONTHLY'],
  ['bimonthly', 'FREQ=MONTHLY;INTERVAL=2'],
  ['quarterly', 'FREQ=MONTHLY;INTERVAL=3'],
  ['semiannual', 'FREQ=MONTHLY;INTERVAL=6'],
  ['annual', 'FREQ=YEARLY'],
  ['yearly', 'FREQ=YEARLY'],
  ['biannual', 'FREQ=YEARLY;INTERVAL=2'],
  ['biyearly', 'FREQ=YEARLY;INTERVAL=2'],
])
const units: [pattern: RegExp, freq: string, times: number][] = [
  [/^d(ays?)?$/, 'DAILY', 1],
  [/^(w|wks?|weeks?)$/, 'WEEKLY', 1],
  [/^(mo|mths?|months?)$/, 'MONTHLY', 1],
  [/^(q|qtrs?|quarters?)$/, 'MONTHLY', 3],
  [/^(y|yrs?|years?)$/, 'YEARLY', 1],
]
/** The day, week, month and year of an ISO 8601 duration. */
const isoUnits: { [unit: string]: string } = { D: 'DAILY', W: 'WEEKLY', M: 'MONTHLY', Y: 'YEARLY' }

/** `weekly`, `3days` or `P2W` as RRULE; undefined for others, such as hours. */
const toRule = (recur: string): string | undefined => {
  const text = recur.toLowerCase()
  const rule = named.get(text)
  if (rule !== undefined) return rule
  const [, iso, isoUnit = ''] = /^P(\d+)([DWMY])$/i.exec(recur) ?? []
  if (iso) return `FREQ=${isoUnits[isoUnit.toUpperCase()]};INTERVAL=${iso}`
  const [, count = '1', unit = ''] = /^(\d*)\s*([a-z]+)$/.exec(text) ?? []
  const [, freq, times = 1] = units.find(([pattern]) => pattern.test(unit)) ?? []
  return freq && `FREQ=${freq};INTERVAL=${Number(count || 1) * times}`
}
