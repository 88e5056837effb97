import { violatesConstraint } from '../../db/errors.ts'
import { type FieldError, throwProblem } from '../../http/problem.ts'
import type { TaskPatch } from './schema.ts'

type Due = Pick<TaskPatch, 'due_at' | 'due_on'>

const hasBoth = ({ due_at, due_on }: Due) => (due_at ?? null) !== null && (due_on ?? null) !== null

/** The fault of members that have a time and a day; `pointer` is that of the members. */
export const dueErrors = (members: Due, pointer = ''): FieldError[] =>
  hasBoth(members)
    ? [
        {
          in: 'body',
          pointer: `${pointer}/due_on`,
          detail: 'excludes due_at: one of them must be null',
        },
      ]
    : []

/** The fault of a patch with one of them, for a task that has the other one. */
export const patchedDueErrors = (changes: Due, pointer = ''): FieldError[] => {
  const [sent, stored] =
    (changes.due_on ?? null) === null ? ['due_at', 'due_on'] : ['due_on', 'due_at']
  const detail = `the task has ${stored}: send ${stored}: null too`
  return [{ in: 'body', pointer: `${pointer}/${sent}`, detail }]
}

/** Refuses members that have a time and a day, with 422. */
const requireOneDue = (members: Due): void => {
  const errors = dueErrors(members)
  if (errors.length > 0) throwProblem('invalid-request', { errors })
}

/** The fault of a list that does not exist, or that another user has; `pointer` is that of the members. */
export const noSuchList = (pointer = ''): FieldError => ({
  in: 'body',
  pointer: `${pointer}/list_id`,
  detail: 'no such list',
})

/** Runs a write; 422 if the table refuses the result: a task with a time and a day, or in a list that does not exist. */
export const refuseConflicts = async <Result>(changes: Due, run: () => Promise<Result>) => {
  requireOneDue(changes)
  try {
    return await run()
  } catch (error) {
    if (violatesConstraint(error, 'tasks_due'))
      return throwProblem('invalid-request', { errors: patchedDueErrors(changes) })
    if (violatesConstraint(error, 'tasks_list'))
      return throwProblem('invalid-request', { errors: [noSuchList()] })
    throw error
  }
}
