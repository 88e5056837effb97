import { t } from 'elysia'
import { IntegerParam, Text } from '../schema/types.ts'
import type { CursorCodec, CursorPosition } from './cursor-codec.ts'
import { throwMalformedRequest } from './problem.ts'

/** The query parameters of every paged list. */
export const pagingParams = {
  limit: t.Optional(
    IntegerParam({
      minimum: 1,
      maximum: 200,
      description: 'Tasks per page',
      examples: [50],
      'x-default': 50,
    }),
  ),
  cursor: t.Optional(
    Text({
      min: 1,
      max: 8192,
      description: '`next_cursor` of the previous page',
      examples: ['q1w2e3r4t5z6u7i8o9p0'],
    }),
  ),
}

export const NextCursor = Text({
  min: 1,
  max: 8192,
  nullable: true,
  description: 'null on the last page',
})

/** Values are texts. The types for Eden also permit booleans and numbers. */
type Query = Record<string, QueryValue | QueryValue[] | undefined>
type QueryValue = string | number | boolean

type PageNeeds<Row> = {
  cursorCodec: CursorCodec
  /** What the cursor is valid for: user, list, sort and filters. */
  binding: string
  path: string
  query: Query
  positionOf: (row: Row) => CursorPosition
  /** Reads rows after a position. */
  read: (rowsMax: number, after: CursorPosition | undefined) => Promise<Row[]>
}

/**
 * Reads one page and sets `Link` (RFC 8288) if there is a next one. It reads one row more than the page, to know
 * whether there are more. The link contains a path only, because the service does not know its external address.
 */
export const readPage = async <Row>(
  { cursorCodec, binding, path, query, positionOf, read }: PageNeeds<Row>,
  headers: Record<string, string | number>,
): Promise<{ page: Row[]; next_cursor: string | null }> => {
  const { limit = '50', cursor } = query as { limit?: string | number; cursor?: string }
  const after =
    cursor === undefined
      ? undefined
      : (cursorCodec.decode<CursorPosition>(cursor, binding) ?? throwInvalidCursor())

  const rows = await read(Number(limit) + 1, after)

  const page = rows.slice(0, Number(limit))
  const last = rows.length > page.length ? page.at(-1) : undefined
  if (last === undefined) return { page, next_cursor: null }
  const next_cursor = cursorCodec.encode(positionOf(last), binding)
  headers.link = `<${path}?${searchParams({ ...query, cursor: next_cursor })}>; rel="next"`
  return { page, next_cursor }
}

const throwInvalidCursor = () =>
  throwMalformedRequest(
    'query',
    '/cursor',
    'must be a next_cursor of this list, with the same sort and filters',
  )

const searchParams = (query: Query) =>
  new URLSearchParams(
    Object.entries(query).flatMap(([name, values]) =>
      [values ?? []].flat().map((value): [string, string] => [name, String(value)]),
    ),
  )
