import { afterAll, describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { retryOnConflict } from '../src/db/idempotency.ts'

import { locks } from './support/locks.ts'
import { database, service } from './support/service.ts'

/* What happens at the same time; on PostgreSQL truly so. */

const times = <T>(count: number, run: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => run(at)))

test('tasks that are added while the account is erased leave no orphans and are no 500', async () => {
  const { someone } = await service()
  const { db } = await database()

  const rounds = await times(20, async () => {
    const ada = await someone()
    const adding = times(8, (at) => ada.call('POST', '/api/tasks', { title: `task ${at}` }))
    const erasing = ada.call('DELETE', '/api/auth/me', { current_password: ada.password })
    return { id: ada.id, added: await adding, erased: await erasing }
  })

  const statuses = rounds.flatMap(({ added }) => added.map(({ status }) => status))
  expect(rounds.map(({ erased }) => erased.status)).toEqual(Array(20).fill(204))
  expect(statuses.filter((status) => status !== 201 && status !== 401)).toEqual([])
  for (const { id } of rounds) {
    const left = await db
      .select({ count: sql<number>`count(*)::int` })
      .from(sql`tasks`)
      .where(sql`user_id = ${id}`)
    expect(left).toEqual([{ count: 0 }])
  }
})

test('no other token succeeds after the response to a password change', async () => {
  const { call, someone } = await service()

  const late = await times(10, async () => {
    const ada = await someone()
    const { body } = await call('POST', '/api/auth/login', {
      body: { email: ada.email, password: ada.password },
    })
    const change = ada.call('PUT', '/api/auth/me/password', {
      current_password: ada.password,
      new_password: 'another horse battery',
    })
    let changed = false
    const done = change.then(({ status }) => {
      changed = true
      return status
    })
    const after: number[] = []
    for (let more = 5; more > 0; ) {
      // Lets the rest of the process run. On PGlite, the requests alone would take all turns.
      await Bun.sleep(0)
      const sentAfter = changed
      const { status } = await call('GET', '/api/tasks', { token: body.access_token })
      if (!sentAfter) continue
      after.push(status)
      more -= 1
    }
    expect(await done).toBe(204)
    return after
  })

  expect(new Set(late.flat())).toEqual(new Set([401]))
})

test('of two concurrent password changes, one succeeds', async () => {
  const { call, someone } = await service()
  const ada = await someone()
  const { body } = await call('POST', '/api/auth/login', {
    body: { email: ada.email, password: ada.password },
  })
  const change = (token: string, new_password: string) =>
    call('PUT', '/api/auth/me/password', {
      token,
      body: { current_password: ada.password, new_password },
    })

  const [one, other] = await Promise.all([
    change(ada.token, 'first new password'),
    change(body.access_token, 'second new password'),
  ])

  const logins = await Promise.all(
    ['first new password', 'second new password', ada.password].map((password) =>
      call('POST', '/api/auth/login', { body: { email: ada.email, password } }),
    ),
  )
  expect([one.status, other.status].sort()).toEqual([204, 401])
  expect(logins.map(({ status }) => status).sort()).toEqual([200, 401, 401])
})

test('a session that is ended many times concurrently is ended once', async () => {
  const { call, someone } = await service()
  const ada = await someone()
  const { body } = await call('POST', '/api/auth/login', {
    body: { email: ada.email, password: ada.password },
  })
  const sessions = (await ada.call('GET', '/api/auth/sessions')).body.sessions
  const other = sessions.find(({ current }: { current: boolean }) => !current)

  const ended = await times(10, () => ada.call('DELETE', `/api/auth/sessions/${other.id}`))

  expect(ended.map(({ status }) => status).sort()).toEqual([204, ...Array(9).fill(404)])
  expect((await call('GET', '/api/tasks', { token: body.access_token })).status).toBe(401)
})

const twin = Object.assign(new Error('twin'), {
  code: '23505',
  constraint: 'idempotency_keys_user_id_route_key_pk',
})

test('a request that repeatedly conflicts with the same Idempotency-Key gets a 409 that the first is in flight', async () => {
  let runs = 0

  const answer = await retryOnConflict(async () => {
    runs += 1
    throw twin
  })

  expect([runs, answer]).toEqual([2, { inFlight: true }])
})

test.each([1, 2])('another error at run %i is not a conflict but a bug', async (last) => {
  const failures = [twin, new Error('a bug')].slice(2 - last)

  const answer = retryOnConflict(() => Promise.reject(failures.shift()))

  await expect(answer).rejects.toThrow('a bug')
})

test('of two concurrent password changes by one session, one succeeds', async () => {
  const { someone } = await service()
  const ada = await someone()

  const changed = await times(2, (at) =>
    ada.call('PUT', '/api/auth/me/password', {
      current_password: ada.password,
      new_password: `new horse battery ${at}`,
    }),
  )

  expect(changed.map(({ status }) => status).sort()).toEqual([204, 401])
})

/* A sign-in is the first to wait for the user's lock, and what is to end all sessions the second. */
describe.skipIf(!process.env.TEST_DATABASE_URL)('a sign-in a moment before', () => {
  const { transaction, lock, waiting, end } = locks()
  afterAll(end)

  test.each([
    [
      'a password change',
      'PUT',
      '/api/auth/me/password',
      { current_password: 'correct horse battery', new_password: 'another horse battery' },
    ],
    ['signing out everywhere', 'DELETE', '/api/auth/sessions', undefined],
  ])('does not outlive %s', async (_, method, path, body) => {
    const { call, someone } = await service()
    const ada = await someone()
    const credentials = { email: ada.email, password: ada.password }
    const holder = await transaction()
    await lock(holder, ada.id)

    const login = call('POST', '/api/auth/login', { body: credentials })
    await waiting(1, login)
    const ending = ada.call(method, path, body)
    await waiting(2, ending)
    await holder.unsafe('commit')
    const ended = await ending
    const { status, body: started } = await login
    const next = await call('GET', '/api/tasks', { token: started.access_token })

    expect([status, ended.status, next.status]).toEqual([200, 204, 401])
  })
})
