import { expect, test } from 'bun:test'
import { createDeadline } from '../../../src/db/pool/deadline.ts'

const never = new Promise<never>(() => {})
const codeOf = (work: Promise<unknown>) => work.catch((error) => error.code)

test('each deadline expires at its own time, in any order of creation', async () => {
  const started = performance.now()
  const waits = [60, 20, 40].map(async (ms) => {
    const code = await codeOf(createDeadline(ms).race(never))
    return { code, early: performance.now() - started < ms - 1 }
  })

  const passed = { code: 'deadline', early: false }
  expect(await Promise.all(waits)).toEqual([passed, passed, passed])
})

test('a short deadline does not wait for an earlier long one', async () => {
  const long = createDeadline(60_000)
  const short = codeOf(createDeadline(10).race(never))

  expect(await Promise.race([short, Bun.sleep(10_000)])).toBe('deadline')
  long.clear()
})

test('work that settles in time keeps its result or error', async () => {
  const deadline = createDeadline(60_000)

  expect(await deadline.race(Promise.resolve('done'))).toBe('done')
  await expect(deadline.race(Promise.reject(new Error('its own')))).rejects.toThrow('its own')
  expect(deadline.expired()).toBe(false)
  deadline.clear()
})

test('a cleared deadline does not expire, and the others do', async () => {
  const cleared = createDeadline(10)
  const first = cleared.race(never).then(
    () => 'ended',
    () => 'refused',
  )
  cleared.clear()
  await codeOf(createDeadline(30).race(never))

  expect(await Promise.race([first, 'still waiting'])).toBe('still waiting')
})

test('work that starts after the deadline is rejected at once', async () => {
  const deadline = createDeadline(1)
  await codeOf(deadline.race(never))

  expect(deadline.expired()).toBe(true)
  expect(await codeOf(deadline.race(never))).toBe('deadline')
})

test('a deadline has expired even if the event loop was blocked', () => {
  const deadline = createDeadline(1)
  Bun.sleepSync(3)

  expect(deadline.expired()).toBe(true)
  deadline.clear()
})
