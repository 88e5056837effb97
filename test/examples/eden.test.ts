import { afterAll, beforeAll, expect, test } from 'bun:test'
import { listening } from '../support/listening.ts'
import { running } from '../support/running.ts'

let here: Awaited<ReturnType<typeof listening>>
beforeAll(async () => {
  here = await listening()
})
afterAll(() => here.stop())

const example = (env: Record<string, string>) =>
  running([process.execPath, 'examples/eden/main.ts'], env)

test('the typed client signs up, writes, reads all pages, and signs in again', async () => {
  const EMAIL = `${Bun.randomUUIDv7()}@example.test`
  const PASSWORD = 'correct horse battery'
  const env = { API: here.origin, EMAIL, PASSWORD }

  const first = await example(env)
  const { body } = await here.call('POST', '/api/auth/login', {
    body: { email: EMAIL, password: PASSWORD },
  })
  const ask = { token: body.access_token as string }
  for (let at = 0; at < 60; at++)
    await here.call('POST', '/api/tasks', {
      ...ask,
      body: { title: '2026-11-20T23:16:35Z', due_at: '2026-12-24T18:00:00Z' },
    })
  const second = await example(env)

  expect([first.code, first.err]).toEqual([0, ''])
  expect(first.out).toBe('Water the plants: done\nrefused: The task or list has changed\n')
  expect([second.code, second.err]).toEqual([0, ''])
  expect(second.out.split('\n').slice(2, -1)).toEqual(
    Array(60).fill('[ ] 2026-11-20T23:16:35Z, due 2026-12-24T18:00:00.000Z'),
  )
})

test('the typed client prints the problem, its code and its place', async () => {
  const { email } = await here.someone()

  const wrong = await example({ API: here.origin, EMAIL: email, PASSWORD: 'not the password' })
  const weak = await example({ API: here.origin, EMAIL: 'a@b', PASSWORD: 'password' })
  const nowhere = await example({ API: 'http://127.0.0.1:1', EMAIL: email, PASSWORD: 'password' })

  expect([wrong.code, wrong.out, weak.code, nowhere.code]).toEqual([1, '', 1, 1])
  expect(wrong.err).toMatch(
    /^401 The e-mail or the password is wrong \(invalid-credentials, request [\w-]+\)\n$/,
  )
  expect(weak.err).toMatch(/^422 .*weak-password.*\n {2}\/password is easy to guess\n$/)
  expect(nowhere.err).toMatch(/^no response from the service: .*connect/i)
})
