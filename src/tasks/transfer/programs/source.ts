import { throwInvalidRequest } from '../../../http/problem.ts'
import { parseRule } from '../../../recurrence/rule.ts'
import type { Dropped } from '../dropped.ts'
import type { Record } from '../parsed.ts'

/** An object of a JSON file. */
export type Json = { readonly [member: string]: unknown }

/** The records that a program's file contains. */
export type ReadProgram = (file: ProgramFile, dropped: Dropped) => Record[]

/** A file as JSON, or as the rows of a CSV file, whose members are the columns in lower case. */
export type ProgramFile = { json: unknown } | { rows: CsvTask[] }
export type CsvTask = { line: number; cells: { readonly [column: string]: string } }

/** Whether a value is an object of a JSON file. */
export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The objects of an array member; empty for anything else. */
export const objectsOf = (value: unknown): Json[] =>
  Array.isArray(value) ? value.filter(isJson) : []

/** Text that is not empty. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

/** Refuses a file in a form that the program does not write. */
export const refuseFile = (expected: string): never =>
  throwInvalidRequest('', `must be ${expected}`)

/** The members that are known, for a record of an import. */
export const known = (members: { [member: string]: unknown }) =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))

/**
 * The recurrence of a task that is due, if this service can repeat it. Otherwise `member` is reported, so that one rule does
 * not refuse the file.
 */
export const keptRecurrence = <Rule extends { rrule: string }>(
  recurrence: Rule | undefined,
  due: string | undefined,
  dropped: Dropped,
  member: string,
): Rule | undefined => {
  if (recurrence && due !== undefined && !('mismatch' in parseRule(recurrence.rrule)))
    return recurrence
  dropped.add(member)
  return undefined
}

/** The day of a time that has no time of day (`2026-12-24T00:00:00.000Z`). */
export const dayOfMidnight = (text: string): string | undefined =>
  /^(\d{4}-\d\d-\d\d)[T ]00:00(:00(\.0+)?)?(Z|[+-]00:?00)?$/.exec(text)?.[1]
