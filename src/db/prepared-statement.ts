import { Column, getTableName, is, Param, Placeholder, SQL, Subquery } from 'drizzle-orm'
import type { Db } from './client.ts'

/** What Drizzle knows of a statement that it has prepared, under names that its types keep to themselves. */
type PreparedInternals = {
  getQuery(): { sql: string; params: unknown[] }
  fields: Field[]
  joinsNotNullableMap?: Record<string, boolean>
}
type Field = { path: string[]; field: Column | SQL | SQL.Aliased | Subquery }

type Query = {
  prepare(name: string): { execute(values?: Record<string, unknown>): Promise<unknown[]> }
}
type RowsOf<Q extends Query> = Awaited<ReturnType<ReturnType<Q['prepare']>['execute']>>

/**
 * A statement that Drizzle builds once, and that is then run without it.
 *
 * Drizzle asks of each cell of each row what kind of column it is, through the proxies of
 * every alias: a fifth of what a page of twenty cost. Here that is settled beforehand.
 * The rows are those that Drizzle gives (test/db/prepared-statement.test.ts).
 */
export const prepareStatement = <Q extends Query>(
  db: Db,
  query: Q,
  { isQuickRead = false } = {},
) => {
  const statement: object = query.prepare('')
  const internals = statement as PreparedInternals
  const { sql, params } = internals.getQuery()
  if (isQuickRead && /\b(insert|update|delete)\b/.test(sql))
    throw new Error('what writes or locks is no quick read: it may be sent after its 503')
  const parameters = params.map(valueFrom)
  const rowOf = rowFrom(internals)

  return {
    execute: async (given: Record<string, unknown>): Promise<RowsOf<Q>> => {
      const values = parameters.map((valueIn) => valueIn(given))
      const rows = await db.$client.arrays(sql, values, isQuickRead)
      return rows.map(rowOf) as RowsOf<Q>
    },
  }
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
  if (value === undefined) throw new Error(`a statement was not given its ${name}`)
  return value
}

type Read = ((value: unknown) => unknown) | undefined
type Cell = { name: string; at: number; read: Read }
/** `witness`: where its first column is; if that is null, so is the whole of it. */
type Part = { name: string; cells: Cell[]; nullMarker: number | undefined }

/** Makes of a row's values what Drizzle would: an object for each joined table, or null where nothing was joined. */
const rowFrom = ({ fields, joinsNotNullableMap: isRequired = {} }: PreparedInternals) => {
  const own: Cell[] = []
  const parts = new Map<string, Part>()
  for (const [at, { path, field }] of fields.entries()) {
    const [first = '', second, ...deeper] = path
    if (deeper.length > 0) throw new Error(`rows are two levels deep, not ${path.join('.')}`)
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

/** How a value of the driver's is read; nothing where it is taken as it is. */
const readerOf = (field: Field['field']): Read => {
  const decoder = decoderOf(field)
  const { mapFromDriverValue } = decoder
  if (mapFromDriverValue === Column.prototype.mapFromDriverValue) return undefined
  // A custom type's own function, so that an alias' proxy is not asked for it each time.
  if ('mapFrom' in decoder && typeof decoder.mapFrom === 'function') return decoder.mapFrom as Read
  return (value) => decoder.mapFromDriverValue(value)
}

type Decoder = { mapFromDriverValue(value: unknown): unknown }

const decoderOf = (field: Field['field']): Decoder => {
  if (is(field, Column)) return field
  const { decoder } = (is(field, SQL) ? field : is(field, Subquery) ? field._.sql : field.sql) as {
    decoder?: Decoder
  } & object
  if (decoder === undefined) throw new Error('a field that Drizzle does not say how to read')
  return decoder
}
