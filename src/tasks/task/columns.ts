import { getTableColumns, is, SQL, sql } from 'drizzle-orm'
import { tasks } from '../../db/schema.ts'
import { toUtc } from '../../schema/timestamp.ts'
import { NewTask } from './schema.ts'
import { arrayLiteral, nowParam, param } from './sql.ts'

/*
 * What a client says of a task, as statements see it: the members of `NewTask`, each kept in the
 * column of its name. Casts, defaults and merges follow from the columns, so that a new field is
 * said in the model and in the schema, and in no statement.
 */

const columns = getTableColumns(tasks)
type Name = keyof NewTask
const names = Object.keys(NewTask.properties) as Name[]

const typeOf = (name: Name) => columns[name].getSQLType()
const each = (make: (name: Name) => SQL): Record<Name, SQL> =>
  Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, SQL>

/** Where a field's value comes from; null where nothing is said. */
type ValueOf = (name: Name) => SQL

/** From the statement's parameters, bound by `draftOf` or `changesOf`. */
export const parameterOf: ValueOf = (name) => param(name, typeOf(name))

/** From a row of `jsonb_to_recordset`, declared by `declared` and filled by `inUtc`. */
export const recordsetColumn =
  (alias: string): ValueOf =>
  (name) =>
    sql.raw(`"${alias}"."${name}"`)

/** The fields in the column list of `jsonb_to_recordset`. */
export const columnDefinitions = sql.raw(
  names.map((name) => `"${name}" ${typeOf(name)}`).join(', '),
)

/** A whole task: what is said, or the column's default. */
export const insertColumns = (valueOf: ValueOf) =>
  each((name) => {
    const { default: fallback } = columns[name]
    if (fallback === undefined) return valueOf(name)
    const literal = is(fallback, SQL) ? fallback : sql`${fallback}`.inlineParams()
    return sql`coalesce(${valueOf(name)}, ${literal})`
  })

/**
 * RFC 7396 on columns. Null stands for absent where the column takes none; where it takes one,
 * `sets` (an array of names) tells what was said.
 */
export const patchColumnsFrom = (valueOf: ValueOf, sets: SQL) =>
  each((name) => {
    const column = columns[name]
    return column.notNull
      ? sql`coalesce(${valueOf(name)}, ${column})`
      : sql`case when ${sql.raw(`'${name}'::text`)} = any(${sets}) then ${valueOf(name)} else ${column} end`
  })

/** `sets` of a merge patch, as JSON takes it. */
export const presentMembers = (changes: Partial<NewTask>): string[] =>
  names.filter((name) => name in changes)

/** The times of what is said, in the one form that PostgreSQL reads whatever the offset. */
export const withUtcTimes = <Fields extends Partial<NewTask>>(valueOf: Fields): Fields => {
  const times = names.filter((name) => typeOf(name).startsWith('timestamp') && valueOf[name])
  return {
    ...valueOf,
    ...Object.fromEntries(times.map((name) => [name, toUtc(String(valueOf[name]))])),
  }
}

/** The parameters of a whole task. */
export const insertParameters = (task: Partial<NewTask>) => {
  const valueOf: Partial<NewTask> = withUtcTimes(task)
  return Object.fromEntries(
    names.map((name) => {
      const value = valueOf[name] ?? null
      return [name, Array.isArray(value) ? arrayLiteral(value) : value]
    }),
  )
}

/** The parameters of a merge patch. */
export const patchParameters = (changes: Partial<NewTask>) => ({
  ...insertParameters(changes),
  sets: arrayLiteral(presentMembers(changes)),
})

type Row = Record<keyof typeof columns, unknown>
type Server = 'user_id' | 'change' | keyof typeof initialValues
const initialValues = {
  completed: sql`false`,
  completed_at: sql`null::timestamptz`,
  version: sql`1`,
  created_at: nowParam,
  updated_at: nowParam,
  deleted_at: sql`null::timestamptz`,
}

/** A new row of a user for `insert … select`, which goes by the order of the columns. */
export const newTaskRow = (
  { user_id, change }: Pick<Row, 'user_id' | 'change'>,
  row: Omit<Row, Server> & Partial<Row>,
): SQL => {
  const values: Row = { ...initialValues, user_id, change, ...row }
  return sql.join(
    Object.keys(columns).map((name) => sql`${values[name as keyof Row]}`),
    sql`, `,
  )
}
