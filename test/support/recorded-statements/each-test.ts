import { afterAll, afterEach, expect } from 'bun:test'
import { distinctStatements, takeFaults } from './log.ts'

/* Preloaded before every test file (bunfig.toml): a test fails if it sends a statement that is not bound to its user. */

afterEach(() => expect(takeFaults()).toEqual([]))

afterAll(() => {
  expect(takeFaults()).toEqual([])
  const seen = distinctStatements()
  const executions = seen.reduce((sum, one) => sum + one.executions, 0)
  const kinds = new Set(seen.map(({ touches }) => touches)).size
  if (seen.length > 0)
    console.log(
      `statements on users' rows: ${seen.length} distinct (${kinds} kinds), ${executions} executions, each bound to its user`,
    )
})
