import { expect, test } from 'bun:test'
import { deadlineAfter } from '../../src/db/deadline.ts'
import { turns } from '../../src/db/turns.ts'

test('turns come in order; one whose deadline passed while the loop was blocked is not given', async () => {
  const { enter, wait, leave } = turns(1)
  enter()
  const late = wait(deadlineAfter(1)).catch((error) => error.code)
  const next = wait(deadlineAfter(60_000)).then(() => 'entered')
  Bun.sleepSync(3)
  leave()

  expect(await Promise.all([late, next])).toEqual(['deadline', 'entered'])
})

test('a turn that nobody took is free again', async () => {
  const { enter, wait, leave } = turns(1)
  enter()
  await expect(wait(deadlineAfter(1))).rejects.toMatchObject({ code: 'deadline' })
  leave()

  expect(enter()).toBe(true)
})
