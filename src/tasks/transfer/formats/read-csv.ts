import { throwProblem } from '../../../http/problem.ts'

/** A cell. An empty one is null unless it is in quotes. */
export type Cell = { text: string; isQuoted: boolean }
/** A row, and the line where it starts. */
export type CsvRow = { cells: Cell[]; line: number }

/** A record of csv-parse with the options `info` and `cast`. */
type ParsedRow = { record: Cell[]; info: { bytes: number } }

/**
 * The rows of RFC 4180, and of what spreadsheets write: `;` or tabs between cells. At most two more than `rowsMax`, so that
 * the caller sees that there are too many. 422 for more than `columnsMax` cells per row on average.
 */
export const readCsv = async (
  text: string,
  { rowsMax, columnsMax }: { rowsMax: number; columnsMax: number },
): Promise<CsvRow[]> => {
  // Loaded with the first CSV.
  const { CsvError, parse } = await import('csv-parse/sync')
  const cellsMax = (rowsMax + 2) * columnsMax
  let cells = 0
  const options = {
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    record_delimiter: ['\r\n', '\n'],
    delimiter: delimiterOf(text),
    // The header, and one row more than the limit.
    to: rowsMax + 2,
    cast: (text: string, { quoting }: { quoting: boolean }): Cell => {
      cells += 1
      if (cells > cellsMax) throwInvalidBody('has too many cells')
      return { text, isQuoted: quoting }
    },
  }
  try {
    const rows: unknown[] = parse(text, options)
    const lineAt = createLineCounter(text)
    let end = 0
    return (rows as ParsedRow[]).map(({ record, info }) => {
      const line = lineAt(end)
      end = info.bytes
      return { cells: record, line }
    })
  } catch (error) {
    if (error instanceof CsvError)
      return throwInvalidBody('is not CSV (RFC 4180)', `/line/${error.lines}`)
    throw error
  }
}

const delimiters = [',', ';', '\t']

/** The delimiter that is most frequent in the header, outside quotes. */
const delimiterOf = (text: string): string => {
  const end = text.search(/[\r\n]/)
  const header = text.slice(0, end === -1 ? undefined : end).replaceAll(/"[^"]*"/g, '')
  const countOf = (delimiter: string) => header.split(delimiter).length
  return delimiters.reduce((best, one) => (countOf(one) > countOf(best) ? one : best))
}

const [cr, lf] = [13, 10]

/**
 * Returns the line number of the record after a byte, skipping blank lines; bytes must be ascending. csv-parse counts a
 * CRLF in quotes as two lines.
 */
const createLineCounter = (text: string) => {
  const bytes = Buffer.from(text)
  let [at, line] = [0, 1]
  return (end: number): number => {
    while (at < bytes.length && (at < end || bytes[at] === cr || bytes[at] === lf))
      if (bytes[at++] === lf) line += 1
    return line
  }
}

const throwInvalidBody = (detail: string, pointer = '') =>
  throwProblem('invalid-request', { errors: [{ in: 'body', pointer, detail }] })
