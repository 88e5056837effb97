import { expect, test } from 'bun:test'
import { createDeadline } from '../../../src/db/pool/deadline.ts'
import { createSemaphore } from '../../../src/db/pool/semaphore.ts'

test('turns come in order; one whose deadline passed while the loop was blocked is not given', async () => {
  const { tryAcquire, acquire, release } = createSemaphore(1)
  tryAcquire()
  const late = acquire(createDeadline(1)).catch((error) => error.code)
  const next = acquire(createDeadline(60_000)).then(() => 'entered')
  Bun.sleepSync(3)
  release()

  expect(await Promise.all([late, next])).toEqual(['deadline', 'entered'])
})

test('a turn that nobody took is free again', async () => {
  const { tryAcquire, acquire, release } = createSemaphore(1)
  tryAcquire()
  await expect(acquire(createDeadline(1))).rejects.toMatchObject({ code: 'deadline' })
  release()

  expect(tryAcquire()).toBe(true)
})
