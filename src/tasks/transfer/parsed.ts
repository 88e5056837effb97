import type { ImportedList } from './schema.ts'

/** A record of an import and its place: `/tasks/6`, or the line where it starts, `/line/7`. `unreadable` is the error of a record that does not parse. */
export type Record = { pointer: string; value: unknown; unreadable?: string }

/** The records of a file, and the lists of a JSON file. */
export type Parsed = { records: Record[]; lists: ImportedList[] }
