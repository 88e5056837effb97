import { describe, expect, test } from 'bun:test'
import { stores } from '../support/rate-limit-stores.ts'
import { type Answer, rowsOf, service } from '../support/service.ts'

/** PGlite belongs to one process: there is no second instance. */
const { memory: _, 'postgres, embedded': __, ...shared } = stores
const codeOf = ({ status, body }: Answer) => `${status} ${body?.code ?? ''}`.trim()
const countOf = (answers: Answer[], code: string) =>
  answers.filter((answer) => codeOf(answer) === code).length

describe.each(Object.entries(shared))('three instances over %s', (_name, openStore) => {
  const three = async (env: Record<string, string> = {}) => {
    const store = await openStore()
    const instance = () => service(env, { rateLimitStore: store.open() })
    const instances = [await instance(), await instance(), await instance()] as const
    return { store, instance, instances }
  }

  test('allow exactly 100 of 500 concurrent requests, and the others have no effect', async () => {
    const { instances } = await three({ RATE_LIMIT: '100' })
    const { id, token } = await instances[0].someone()
    const requests = Array.from({ length: 500 }, (_, at) => instances[at % 3]!)

    const answers = await Promise.all(
      requests.map(({ call }) => call('POST', '/api/tasks', { token, body: { title: 'x' } })),
    )

    expect(countOf(answers, '201')).toBe(100)
    expect(countOf(answers, '429 rate-limited')).toBe(400)
    const left = answers.map(({ headers }) => Number(headers.get('ratelimit-remaining')))
    expect(new Set(left).size).toBe(100)
    expect((await rowsOf(id)).tasks).toHaveLength(100)
  })

  test('share the limit of an address and the limit for ending sessions', async () => {
    const { instances } = await three({ RATE_LIMIT: '30' })
    const { token } = await instances[0].someone()
    const callers = Array.from({ length: 60 }, (_, at) => instances[at % 3]!)
    const endings = Array.from({ length: 40 }, (_, at) => instances[at % 3]!)

    const asked = await Promise.all(callers.map(({ call }) => call('GET', '/api/tasks')))
    const ended = await Promise.all(
      endings.map(({ call }) => call('DELETE', '/api/auth/sessions/x', { token })),
    )

    // The sign-up counted once.
    expect(countOf(asked, '401 unauthenticated')).toBe(29)
    expect(countOf(ended, '404 session-not-found')).toBe(20)
  })

  test('allow ten failed sign-ins, and a success on one resets the count on all', async () => {
    const { instances } = await three()
    const { email, password } = await instances[0].someone()
    const signIn = (at: number, text: string) =>
      instances[at % 3]!.call('POST', '/api/auth/login', { body: { email, password: text } })

    for (let at = 0; at < 9; at++)
      expect(codeOf(await signIn(at, 'wrong'))).toBe('401 invalid-credentials')
    expect(codeOf(await signIn(0, password))).toBe('200')
    const failures = await Promise.all(Array.from({ length: 40 }, (_, at) => signIn(at, 'wrong')))

    expect(countOf(failures, '401 invalid-credentials')).toBe(10)
    expect(countOf(failures, '429 too-many-attempts')).toBe(30)
    expect(codeOf(await signIn(1, password))).toBe('429 too-many-attempts')
  })

  test('keep the counts after a restart', async () => {
    const { instances, instance } = await three({ RATE_LIMIT: '5' })
    const { token } = await instances[0].someone()
    for (const { call } of instances) await call('GET', '/api/tasks', { token })

    const another = await instance()

    const statuses = []
    for (let time = 0; time < 3; time++)
      statuses.push((await another.call('GET', '/api/tasks', { token })).status)
    expect(statuses).toEqual([200, 200, 429])
  })

  test('store no e-mail and no token', async () => {
    const { store, instances } = await three()
    const { email, token } = await instances[0].someone()
    await instances[1].call('GET', '/api/tasks', { token })
    await instances[2].call('POST', '/api/auth/login', { body: { email, password: 'wrong' } })

    const keys = await store.keys()

    const kinds = ['address', 'sign-in', 'sign-in-address', 'sign-in-here', 'user']
    expect(keys.map((key) => key.split(':')[0] ?? '').toSorted()).toEqual(kinds)
    expect(keys.join()).not.toContain(email)
    expect(keys.join()).not.toContain('@')
    expect(keys.join()).not.toContain(token.slice(-20))
  })
})
