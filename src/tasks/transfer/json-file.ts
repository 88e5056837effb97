import { throwInvalidRequest, throwProblem, toJsonPointer } from '../../http/problem.ts'
import { toFieldErrors } from '../../http/validation-errors.ts'
import { listsMax } from '../../lists/schema.ts'
import { compileSchema } from '../../schema/compile.ts'
import type { Parsed } from './parsed.ts'
import { ImportedList } from './schema.ts'

/** The records and lists of a JSON import; 413 for more than `rowsMax` records. */
export const readJsonFile = (body: unknown, rowsMax: number): Parsed => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return throwInvalidRequest('', 'must be an object')
  const { tasks, lists = [], ...others } = body as { tasks?: unknown; lists?: unknown }
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    return throwInvalidRequest(toJsonPointer(unknown), 'is not a known member')
  if (!Array.isArray(tasks)) return throwInvalidRequest('/tasks', 'must be an array')
  if (tasks.length > rowsMax) throwProblem('body-too-large')
  const records = tasks.map((value, at) => ({ pointer: `/tasks/${at}`, value }))
  return { records, lists: requireListMembers(lists) }
}

const listSchema = compileSchema(ImportedList)

const requireListMembers = (lists: unknown): ImportedList[] => {
  if (!Array.isArray(lists)) return throwInvalidRequest('/lists', 'must be an array')
  if (lists.length > listsMax) return throwProblem('too-many-lists')
  for (const [at, list] of lists.entries()) {
    if (listSchema.matches(list)) continue
    const [error] = toFieldErrors(listSchema.errorsOf(list), 'body')
    return throwInvalidRequest(`/lists/${at}${error?.pointer ?? ''}`, error?.detail ?? 'is invalid')
  }
  return lists
}
