import { Column, getTableName, is, Param, Placeholder, SQL, Subquery } from 'drizzle-orm'
import { lazy } from '../lazy.ts'
import type { Db } from './database.ts'

/** Members of a prepared Drizzle statement that its types do not declare. */
type PreparedInternals = {
  getQuery(): { sql: string; params: unknown[] }
  fields: Field[]
  joinsNotNullableMap?: Record<string, boolean>
}
type Field = { path: string[]; field: Column | SQL | SQL.Aliased | Subquery }

/** A statement of Drizzle. */
export type Query = {
  prepare(name: string): { execute(values?: Record<string, unknown>): Promise<unknown[]> }
}
type RowsOf<Q extends Query> = Awaited<ReturnType<ReturnType<Q['prepare']>['execute']>>

type Options = {
  /** The statement only reads and takes about a millisecond: the pool may pipeline it. */
  isQuickRead?: boolean
}

/**
 * A statement that Drizzle builds at its first use, and that then runs without Drizzle.
 *
 * For each cell of each row, Drizzle looks up the type of the column through the proxies of every alias: a fifth
 * of the cost of a page of twenty tasks. Here this happens once. The rows are the same as Drizzle's
 * (test/db/prepared-statement.test.ts). Building all statements at start would delay it by their sum.
 */
export const prepareStatement = <Q extends Query>(
  db: Db,
  build: () => Q,
  { isQuickRead = false }: Options = {},
) => {
  const execute = lazy(() => {
    const statement: object = build().prepare('')
    const internals = statement as PreparedInternals
    const { sql, params } = internals.getQuery()
    if (isQuickRead && /\b(insert|update|delete)\b/.test(sql))
      throw new Error('a statement that writes or locks cannot be a quick read')
    const parameters = params.map(valueFrom)
    const toRow = rowFrom(internals)

    return async (values: Record<string, unknown>): Promise<RowsOf<Q>> => {
      const bound = parameters.map((valueIn) => valueIn(values))
      const rows = await db.$client.arrays(sql, bound, isQuickRead)
      return rows.map(toRow) as RowsOf<Q>
    }
  })
  return { execute }
}

const valueFrom = (param: unknown): ((given: Record<string, unknown>) => unknown) => {
  if (is(param, Placeholder)) return named(param.name)
  if (!is(param, Param) || !is(param.value, Placeholder)) return () => param
  const { encoder, value } = param
  const find = named(value.name)
  return (given) => encoder.mapToDriverValue(find(given))
}

const named = (name: string) => (given: Record<string, unknown>) => {
  const value = given[name]
  if (value === undefined) throw new Error(`the statement has no value for ${name}`)
  return value
}

type Read = ((value: unknown) => unknown) | undefined
type Cell = { name: string; at: number; read: Read }
/** `nullMarker`: the index of the part's first column. If that is null, the part is null. */
type Part = { name: string; cells: Cell[]; nullMarker: number | undefined }

/** Builds the row that Drizzle would build: an object per joined table, or null without a match. */
const rowFrom = ({ fields, joinsNotNullableMap: isRequired = {} }: PreparedInternals) => {
  const own: Cell[] = []
  const parts = new Map<string, Part>()
  for (const [at, { path, field }] of fields.entries()) {
    const [first = '', second, ...deeper] = path
    if (deeper.length > 0) throw new Error(`a row has at most two levels: ${path.join('.')}`)
    const cell = { name: second ?? first, at, read: readerOf(field) }
    if (second === undefined) own.push(cell)
    else {
      const part = parts.get(first) ?? { name: first, cells: [], nullMarker: nullMarkerOf(first) }
      part.cells.push(cell)
      parts.set(first, part)
    }
  }

  function nullMarkerOf(name: string): number | undefined {
    const columns = fields.filter(({ path, field }) => path[0] === name && is(field, Column))
    const tables = new Set(columns.map(({ field }) => getTableName((field as Column).table)))
    const [table = ''] = tables
    const [column] = columns
    return column === undefined || tables.size > 1 || isRequired[table]
      ? undefined
      : fields.indexOf(column)
  }

  const all = [...parts.values()]
  return (row: unknown[]) => {
    const result = objectOf(own, row)
    for (const { name, cells, nullMarker } of all)
      result[name] =
        nullMarker !== undefined && row[nullMarker] === null ? null : objectOf(cells, row)
    return result
  }
}

const objectOf = (cells: Cell[], row: unknown[]) => {
  const result: Record<string, unknown> = {}
  for (const { name, at, read } of cells) {
    const value = row[at]
    result[name] = value === null || read === undefined ? value : read(value)
  }
  return result
}

/** Converts a value of the driver; undefined if the value stays as it is. */
const readerOf = (field: Field['field']): Read => {
  const decoder = decoderOf(field)
  const { mapFromDriverValue } = decoder
  if (mapFromDriverValue === Column.prototype.mapFromDriverValue) return undefined
  // The custom type's own function: going through the proxy of an alias costs more.
  if ('mapFrom' in decoder && typeof decoder.mapFrom === 'function') return decoder.mapFrom as Read
  return (value) => decoder.mapFromDriverValue(value)
}

type Decoder = { mapFromDriverValue(value: unknown): unknown }

const decoderOf = (field: Field['field']): Decoder => {
  if (is(field, Column)) return field
  const { decoder } = (is(field, SQL) ? field : is(field, Subquery) ? field._.sql : field.sql) as {
    decoder?: Decoder
  } & object
  if (decoder === undefined) throw new Error('Drizzle has no decoder for this field')
  return decoder
}
