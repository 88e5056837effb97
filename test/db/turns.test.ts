import { expect, test } from 'bun:test'
import { deadlineAfter, turns } from '../../src/db/turns.ts'

test('turns come in order; one whose deadline passed while the loop was blocked is not given', async () => {
  const { enter, leave } = turns(1)
  await enter(deadlineAfter(60_000))
  const late = enter(deadlineAfter(1)).catch((error) => error.code)
  const next = enter(deadlineAfter(60_000)).then(() => 'entered')
  Bun.sleepSync(3)
  leave()

  expect(await Promise.all([late, next])).toEqual(['deadline', 'entered'])
})

test('a turn that nobody took is free again', async () => {
  const { enter, leave } = turns(1)
  await enter(deadlineAfter(60_000))
  await expect(enter(deadlineAfter(1))).rejects.toMatchObject({ code: 'deadline' })
  leave()

  await enter(deadlineAfter(60_000))
})
