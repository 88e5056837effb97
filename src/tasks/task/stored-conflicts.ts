import { now } from '../../db/clock.ts'
import { violatesConstraint } from '../../db/errors.ts'
import { type FieldError, throwProblem } from '../../http/problem.ts'
import { withInterval } from '../../recurrence/rule.ts'
import { hasOccurrence } from '../../recurrence/rule-checker.ts'
import { inStoredForm } from './columns.ts'
import type { TaskPatch } from './schema.ts'

type Planned = Pick<TaskPatch, 'due_at' | 'due_on' | 'recurrence'>

const isSet = (value: unknown): boolean => (value ?? null) !== null

const fault = (pointer: string, detail: string): FieldError => ({ in: 'body', pointer, detail })

/** The faults of members that contradict each other; `pointer` is that of the members. */
export const planningErrors = (
  members: Planned,
  pointer = '',
  isPossibleRule = hasOccurrence,
): FieldError[] => [
  ...(isSet(members.due_at) && isSet(members.due_on)
    ? [fault(`${pointer}/due_on`, 'excludes due_at: one of them must be null')]
    : []),
  ...(isPossible(members, isPossibleRule)
    ? []
    : [fault(`${pointer}/recurrence/rrule`, 'matches no day, or takes too long to find one')]),
]

/** The same for a whole task: a recurring one needs a due date. */
export const wholeTaskErrors = (
  members: Planned,
  pointer = '',
  isPossibleRule = hasOccurrence,
): FieldError[] => [
  ...planningErrors(members, pointer, isPossibleRule),
  ...(isSet(members.recurrence) && !isSet(members.due_at) && !isSet(members.due_on)
    ? [fault(`${pointer}/recurrence`, 'requires due_at or due_on')]
    : []),
]

/** Without a due date, the rule is tried from today on, and in every day, week, month or year. */
const isPossible = (
  { recurrence, ...dues }: Planned,
  isPossibleRule: typeof hasOccurrence,
): boolean => {
  if (!recurrence) return true
  const { rrule } = recurrence
  const { due_at, due_on } = inStoredForm(dues)
  if (due_on) return isPossibleRule(rrule, Temporal.PlainDate.from(due_on))
  const zoned = Temporal.Instant.from(due_at ?? now()).toZonedDateTimeISO(
    recurrence.time_zone ?? 'UTC',
  )
  const start = zoned.toPlainDate()
  // In the zone of the user, which is not known here, it may be the day before or after.
  const days = recurrence.time_zone ? [0] : [0, -1, 1]
  return days.some((days) =>
    isPossibleRule(due_at ? rrule : withInterval(rrule, 1), start.add({ days })),
  )
}

/** The fault of a patch that contradicts the stored task. */
export const patchedErrors = (changes: Planned, pointer = ''): FieldError[] => {
  const [sent] = (['due_on', 'due_at'] as const).filter((name) => isSet(changes[name]))
  if (sent !== undefined) {
    const stored = sent === 'due_on' ? 'due_at' : 'due_on'
    return [fault(`${pointer}/${sent}`, `the task has ${stored}: send ${stored}: null too`)]
  }
  if (isSet(changes.recurrence))
    return [fault(`${pointer}/recurrence`, 'requires due_at or due_on')]
  const cleared = 'due_on' in changes ? 'due_on' : 'due_at'
  return [fault(`${pointer}/${cleared}`, 'the task recurs: send recurrence: null too')]
}

/** The fault of a list that does not exist, or that another user has; `pointer` is that of the members. */
export const noSuchList = (pointer = ''): FieldError => fault(`${pointer}/list_id`, 'no such list')

/**
 * Runs a write; 422 if its members contradict each other, or if the table refuses the result: a task with a time and a day, a
 * recurring one with neither, or a list that does not exist.
 */
export const refuseConflicts = async <Result>(
  errors: FieldError[],
  changes: Planned,
  run: () => Promise<Result>,
) => {
  if (errors.length > 0) throwProblem('invalid-request', { errors })
  try {
    return await run()
  } catch (error) {
    if (violatesConstraint(error, 'tasks_due') || violatesConstraint(error, 'tasks_recurrence_due'))
      return throwProblem('invalid-request', { errors: patchedErrors(changes) })
    if (violatesConstraint(error, 'tasks_list'))
      return throwProblem('invalid-request', { errors: [noSuchList()] })
    throw error
  }
}
