import { expect, test } from 'bun:test'
import { createDeadline } from '../../../src/db/pool/deadline.ts'
import { createSemaphore } from '../../../src/db/pool/semaphore.ts'

test('permits are granted in order, and not after a deadline that expired while the event loop was blocked', async () => {
  const { tryAcquire, acquire, release } = createSemaphore(1)
  tryAcquire()
  const late = acquire(createDeadline(1)).catch((error) => error.code)
  const next = acquire(createDeadline(60_000)).then(() => 'entered')
  Bun.sleepSync(3)
  release()

  expect(await Promise.all([late, next])).toEqual(['deadline', 'entered'])
})

test('a permit without a waiting statement is free again', async () => {
  const { tryAcquire, acquire, release } = createSemaphore(1)
  tryAcquire()
  await expect(acquire(createDeadline(1))).rejects.toMatchObject({ code: 'deadline' })
  release()

  expect(tryAcquire()).toBe(true)
})
