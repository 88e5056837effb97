import { throwInvalidRequest, throwProblem } from '../../../http/problem.ts'
import { TextBody } from '../../../schema/body.ts'
import type { Dropped } from '../dropped.ts'
import { readCsv } from '../formats/read-csv.ts'
import type { Record } from '../parsed.ts'
import type { ProgramName } from '../schema.ts'
import { readGoogle } from './google.ts'
import { readMicrosoft } from './microsoft.ts'
import type { CsvTask, ProgramFile, ReadProgram } from './source.ts'
import { readTaskwarrior } from './taskwarrior.ts'
import { readTodoist } from './todoist.ts'
import { readVikunja } from './vikunja.ts'

/** The programs whose exports can be imported, by the value of `?from=`. */
const programs = {
  todoist: readTodoist,
  google: readGoogle,
  microsoft: readMicrosoft,
  taskwarrior: readTaskwarrior,
  vikunja: readVikunja,
} satisfies { [Name in ProgramName]: ReadProgram }

/** More columns than any of the programs writes. */
const columnsMax = 100

/** The records of another program's file; 413 for more than `rowsMax`. */
export const readProgram = async (
  name: ProgramName,
  body: unknown,
  rowsMax: number,
  dropped: Dropped,
): Promise<Record[]> => {
  const records = programs[name](await toFile(body, rowsMax), dropped)
  if (records.length > rowsMax) throwProblem('body-too-large')
  return records
}

const toFile = async (body: unknown, rowsMax: number): Promise<ProgramFile> => {
  if (!(body instanceof TextBody)) return { json: body }
  if (body.type !== 'text/csv')
    throwInvalidRequest('/content-type', 'must be application/json or text/csv with from', 'header')
  return { rows: await toTasks(body.text, rowsMax) }
}

const toTasks = async (text: string, rowsMax: number): Promise<CsvTask[]> => {
  const [header, ...rows] = await readCsv(text, { rowsMax, columnsMax })
  if (rows.length > rowsMax) throwProblem('body-too-large')
  const columns = header?.cells.map((cell) => cell.text.trim().toLowerCase()) ?? []
  return rows.map(({ cells, line }) => ({
    line,
    cells: Object.fromEntries(columns.map((column, at) => [column, cells[at]?.text ?? ''])),
  }))
}
