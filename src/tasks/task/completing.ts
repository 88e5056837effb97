import { now } from '../../db/clock.ts'
import { DatabaseUnavailable, runWrite } from '../../db/errors.ts'
import type { ExpectedVersions } from '../../db/params.ts'
import { type Principal, scopeParameters } from '../../db/user-scope.ts'
import { successorFor, successorParameters } from './recurring.ts'
import type { TaskStatements } from './statements.ts'
import { target, toResult, type WriteRow } from './write-result.ts'

/** The statements that may complete a task. */
type Completing = 'replace' | 'change' | 'complete' | 'completeIdempotent'

/** How often a recurring task is completed again that another request changed meanwhile. */
const attemptsMax = 100

/**
 * Writes that may complete a task. For a recurring task, the first statement only reads it. The second one is conditional on
 * the version, and both are repeated if the task has changed since.
 */
export const completeWith =
  (principal: Principal) =>
  async (
    statements: TaskStatements,
    name: Completing,
    id: string,
    expected: ExpectedVersions,
    columns: object,
  ) => {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const values = { ...columns, ...target(id, expected), ...scopeParameters(principal) }
      const rows = await runWrite<WriteRow[]>(() => statements[name].execute(values))
      const { recurring, version = 0 } = rows[0]?.current ?? {}
      const isExpected = expected === undefined || expected.includes(version)
      if (!recurring || !isExpected || rows[0]?.earlierResponse) return toResult(rows)

      const both = {
        ...values,
        ...target(id, [version]),
        ...successorParameters(successorFor(recurring, now())),
        ...scopeParameters(principal),
      }
      const written = await runWrite<WriteRow[]>(() => statements[`${name}Recurring`].execute(both))
      const [row] = written
      if (!row?.current || row.task || row.earlierResponse) return toResult(written)
    }
    throw new DatabaseUnavailable('contention')
  }
