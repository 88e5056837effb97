import { getTableColumns, is, SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { arrayLiteral, nowParam, param } from '../../db/params.ts'
import { tasks, users } from '../../db/schema.ts'
import { placeholders } from '../../db/user-scope.ts'
import { toTimeZone } from '../../schema/calendar.ts'
import { toUtc } from '../../schema/timestamp.ts'
import { normalizeId, type Reminder } from '../../schema/types.ts'
import { remindFromNow } from '../reminders/remind-at.ts'
import { type NewRecurrence, NewTask } from './schema.ts'

/*
 * The SQL fragments for the members that a client can set. Each member of `NewTask` is stored in the column of its
 * name; casts, defaults and merges follow from the column. So a new field changes the two schemas and no statement.
 */

const columns = getTableColumns(tasks)
type Name = keyof NewTask
const names = Object.keys(NewTask.properties) as Name[]

const typeOf = (name: Name) => columns[name].getSQLType()
const each = (make: (name: Name) => SQL): Record<Name, SQL> =>
  Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, SQL>

/** The SQL value of a member; null if the request does not contain it. */
export type MemberValue = (name: Name) => SQL

/** Reads members from parameters, which `insertParameters` or `patchParameters` bind. */
export const parameterOf: MemberValue = (name) => param(name, typeOf(name))

/** Reads members from a row of `jsonb_to_recordset` with `columnDefinitions`. */
export const recordsetColumn =
  (alias: string): MemberValue =>
  (name) =>
    sql.raw(`"${alias}"."${name}"`)

/**
 * The same, with the time zone of the user in a recurrence without one. Statements for other requests do without: to
 * prepare the lookup of the user cost 2 % of the throughput, also where it did not run.
 */
export const inZoneOfUser =
  (memberValue: MemberValue): MemberValue =>
  (name) => {
    const value = memberValue(name)
    return name !== 'recurrence'
      ? value
      : sql`case when ${value} is not null then ${value} || jsonb_object(array['time_zone',
        coalesce(${value} ->> 'time_zone', (
          select ${users.time_zone} from ${users} where ${users.id} = ${placeholders.user}))]) end`
  }

/** Whether members need a statement with `inZoneOfUser`. */
export const lacksTimeZone = ({ recurrence }: Partial<NewTask>): boolean =>
  !!recurrence && recurrence.time_zone === undefined

/** The series of a new task: its own, if it recurs. */
export const ownSeries = (recurrence: SQL, id: SQL) =>
  sql`case when ${recurrence} is not null then ${id} end`

/** A task is of a series from its first recurrence on. */
export const seriesAfter = (recurrence: SQL) =>
  sql`coalesce(${tasks.series_id}, ${ownSeries(recurrence, sql`${tasks.id}`)})`

/** The members in the column list of `jsonb_to_recordset`. */
export const columnDefinitions = sql.raw(
  names.map((name) => `"${name}" ${typeOf(name)}`).join(', '),
)

/** The members as they are in another row. */
export const membersOf = (row: Record<Name, SQLWrapper>) => each((name) => sql`${row[name]}`)

/** The columns of a whole task: the sent value, or the default of the column. */
export const insertColumns = (memberValue: MemberValue) =>
  each((name) => {
    const { default: fallback } = columns[name]
    if (fallback === undefined) return memberValue(name)
    const literal = is(fallback, SQL) ? fallback : sql`${fallback}`.inlineParams()
    return sql`coalesce(${memberValue(name)}, ${literal})`
  })

/**
 * A merge patch (RFC 7396) on columns. In a NOT NULL column, null means absent. In a nullable column, `sets` (an array
 * of names) lists the members that were sent.
 */
export const patchColumnsFrom = (memberValue: MemberValue, sets: SQL) =>
  each((name) => {
    const column = columns[name]
    return column.notNull
      ? sql`coalesce(${memberValue(name)}, ${column})`
      : sql`case when ${sql.raw(`'${name}'::text`)} = any(${sets}) then ${memberValue(name)} else ${column} end`
  })

type Planned = Record<'due_at' | 'due_on' | 'recurrence', SQLWrapper>

/** Whether a task would have a time and a day after a merge patch, or would recur without either. */
export const isContradiction = (current: Planned, memberValue: MemberValue, sets: SQL) => {
  const after = (name: keyof Planned) =>
    sql`case when ${sql.raw(`'${name}'::text`)} = any(${sets}) then ${memberValue(name)} is not null
      else ${current[name]} is not null end`
  const [at, on, recurs] = [after('due_at'), after('due_on'), after('recurrence')]
  return sql`((${at} and ${on}) or (${recurs} and not ${at} and not ${on}))`
}

/** The names of the members that a merge patch contains. */
export const presentMembers = (changes: Partial<NewTask>): string[] =>
  names.filter((name) => name in changes)

/** Times in UTC, because PostgreSQL does not accept every valid offset; ids and time zones in their canonical form. */
export const inStoredForm = <Fields extends Partial<NewTask>>(members: Fields): Fields => {
  const stored = names.flatMap((name): [Name, unknown][] => {
    const value = members[name]
    if (name === 'recurrence' && members.recurrence)
      return [[name, recurrenceInStoredForm(members.recurrence)]]
    if (name === 'reminders' && members.reminders)
      return [[name, remindersInStoredForm(members.reminders)]]
    if (typeof value !== 'string') return []
    if (typeOf(name) === 'uuid') return [[name, normalizeId(value)]]
    return typeOf(name).startsWith('timestamp') ? [[name, toUtc(value)]] : []
  })
  return { ...members, ...Object.fromEntries(stored) }
}

const remindersInStoredForm = (reminders: readonly Reminder[]): Reminder[] | null => {
  const stored = reminders.map((one) => ('at' in one ? { at: toUtc(one.at) ?? one.at } : one))
  return stored.length > 0 ? stored : null
}

const recurrenceInStoredForm = ({ rrule, time_zone, from = 'due' }: NewRecurrence) => ({
  rrule,
  from,
  ...(time_zone !== undefined && { time_zone: toTimeZone(time_zone) }),
})

/** The parameters of a whole task. */
export const insertParameters = (task: Partial<NewTask>) => {
  const members: Partial<NewTask> = inStoredForm(task)
  return Object.fromEntries(
    names.map((name) => {
      const value = members[name] ?? null
      if (value !== null && typeOf(name) === 'jsonb') return [name, JSON.stringify(value)]
      return [name, Array.isArray(value) ? arrayLiteral(value as string[]) : value]
    }),
  )
}

/** The parameters of a merge patch. */
export const patchParameters = (changes: Partial<NewTask>) => ({
  ...insertParameters(changes),
  sets: arrayLiteral(presentMembers(changes)),
})

type Row = Record<keyof typeof columns, unknown>
type ServerColumn = 'user_id' | 'change' | 'remind_at' | keyof typeof initialValues
const initialValues = {
  completed: sql`false`,
  completed_at: sql`null::timestamptz`,
  version: sql`1`,
  created_at: nowParam,
  updated_at: nowParam,
  deleted_at: sql`null::timestamptz`,
  predecessor_id: sql`null::uuid`,
  series_start: sql`null::jsonb`,
}

/** A new row for `insert … select`, in the order of the table's columns. */
export const newTaskRow = (
  { user_id, change }: Pick<Row, 'user_id' | 'change'>,
  row: Omit<Row, ServerColumn> & Partial<Row>,
): SQL => {
  const { reminders, completed } = { ...initialValues, ...row }
  const remind_at = remindFromNow({ reminders: sql`${reminders}`, completed: sql`${completed}` })
  const values: Row = { ...initialValues, user_id, change, remind_at, ...row }
  return sql.join(
    Object.keys(columns).map((name) => sql`${values[name as keyof Row]}`),
    sql`, `,
  )
}
