import { afterAll, afterEach, expect } from 'bun:test'
import { seenSoFar, whatWasWrong } from './log.ts'

/* Loaded ahead of every test file (bunfig.toml): what a test has sent for the wrong user fails it. */

afterEach(() => expect(whatWasWrong()).toEqual([]))

afterAll(() => {
  expect(whatWasWrong()).toEqual([])
  const seen = seenSoFar()
  const executions = seen.reduce((sum, one) => sum + one.executions, 0)
  const kinds = new Set(seen.map(({ touches }) => touches)).size
  if (seen.length > 0)
    console.log(
      `statements on users' rows: ${seen.length} distinct (${kinds} kinds), ${executions} executions, each bound to its user`,
    )
})
