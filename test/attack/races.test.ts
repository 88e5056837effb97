import { expect, test } from 'bun:test'
import { statements } from '../support/recorded-statements/log.ts'
import { protectedRoutes } from '../support/requests.ts'
import { comparable, filled, rowsOf, service } from '../support/service.ts'
import type { Random } from '../support/walk-pages.ts'
import { budget, eachCase } from './budget.ts'
import { leaksIn, wrongsOf } from './oracle.ts'
import { totals } from './totals.ts'

type Write = [method: string, path: string, body?: unknown, headers?: Record<string, string>]

/** Writes of one task, some conditional, some with a key that other requests use too. */
const writeOf = (id: string, random: Random): Write => {
  const path = `/api/tasks/${id}`
  const condition: Record<string, string> = random.chance(30)
    ? { 'if-match': `"${1 + random.below(4)}"` }
    : {}
  const key: Record<string, string> = random.chance(50)
    ? { 'idempotency-key': `${id}-${random.below(2)}` }
    : {}
  return random.of<() => Write>([
    () => ['PATCH', `${path}/complete`, undefined, { ...condition, ...key }],
    () => ['PATCH', `${path}/complete`, { completed: random.chance(50) }, condition],
    () => ['PUT', path, { title: 'put', completed: random.chance(50) }, condition],
    () => ['PATCH', path, { priority: random.of(['low', 'high']) }, condition],
    () => ['DELETE', path, undefined, condition],
    () => ['POST', `${path}/restore`, undefined, condition],
    () => ['POST', '/api/tasks/batch', { update: [{ id, title: 'batch' }] }, key],
    () => ['POST', '/api/tasks/batch', { delete: [id] }],
  ])()
}

test('each accepted concurrent write is exactly one version, and a refused one has no effect', async () => {
  const [here, there] = [
    await service({ RATE_LIMIT: '1000000' }),
    await service({ RATE_LIMIT: '1000000' }),
  ]
  const count = totals('races', 'races: concurrent writes of one task')

  await eachCase('writes', budget(80, 3000), 2, async (random, at) => {
    const ada = await here.someone()
    const { body: task } = await ada.call('POST', '/api/tasks', { title: 'one' })
    const writes = Array.from({ length: 10 }, () => writeOf(task.id, random))

    const answers = await Promise.all(
      writes.map(([method, path, body, headers = {}]) =>
        random.of([here, there]).call(method, path, { token: ada.token, body, headers }),
      ),
    )

    statements.length = 0
    const what = JSON.stringify(writes.map((write, place) => [answers[place]?.status, ...write]))
    for (const answer of answers) {
      count.tried(answer.status >= 400)
      count.allWrong(wrongsOf(answer, { canaries: [ada.token] }), what, at)
    }
    for (const { log } of [here, there]) count.allWrong(leaksIn(log, [ada.token]), what, at)
    const accepted = answers.filter(
      ({ status, headers }) => status < 300 && !headers.has('idempotency-replayed'),
    )
    const { tasks } = await rowsOf(ada.id)
    const versions = accepted.flatMap(({ headers }) => headers.get('etag') ?? [])
    if (tasks[0]?.version !== 1 + accepted.length)
      count.wrong(`version ${tasks[0]?.version} after ${accepted.length} writes: ${what}`, at)
    if (new Set(versions).size < versions.length) count.wrong(`one version twice: ${what}`, at)
  })

  count.matches()
})

test('no request succeeds with a session after the response to its end, for every way to end it', async () => {
  const [here, there] = [
    await service({ RATE_LIMIT: '1000000' }),
    await service({ RATE_LIMIT: '1000000' }),
  ]
  const count = totals('races', 'races: a session that ends during requests')

  await eachCase('endings', budget(40, 1500), 2, async (random, at) => {
    const ada = await here.someone()
    const { email, password } = ada
    const other = await there.call('POST', '/api/auth/login', { body: { email, password } })
    const token: string = other.body.access_token
    const { body } = await here.call('GET', '/api/auth/sessions', { token })
    const { id } = body.sessions.find((one: { current: boolean }) => one.current)
    const end = random.of<() => Promise<{ status: number }>>([
      () => ada.call('DELETE', `/api/auth/sessions/${id}`),
      () => ada.call('DELETE', '/api/auth/sessions'),
      () => here.call('POST', '/api/auth/logout', { token }),
      () => ada.call('DELETE', '/api/auth/me', { current_password: password }),
      () =>
        ada.call('PUT', '/api/auth/me/password', {
          current_password: password,
          new_password: 'wrong donkey power plant',
        }),
    ])
    let isEnded = false
    const using = Array.from({ length: 4 }, async (_, lane) => {
      for (let round = 0; round < 8; round++) {
        const wasEnded = isEnded
        const asked: Write =
          lane % 2 === 0 ? ['POST', '/api/tasks', { title: 'x' }] : ['GET', '/api/tasks']
        const [method, path, draft] = asked
        const answer = await random.of([here, there]).call(method, path, { token, body: draft })
        count.tried(answer.status >= 400)
        count.allWrong(wrongsOf(answer, { canaries: [token] }), path, at)
        if (wasEnded && answer.status !== 401) count.wrong(`${answer.status} after its end`, at)
      }
    })

    const { status } = await end()
    isEnded = true
    await Promise.all(using)

    if (status !== 204) count.wrong(`the end: ${status}`, at)
    const after = await there.call('GET', '/api/tasks', { token })
    if (after.status !== 401) count.wrong(`${after.status} after its end`, at)
    statements.length = 0
  })

  count.matches()
})

test('a deleted task is like an absent one on every route until it is restored', async () => {
  const here = await service({ RATE_LIMIT: '1000000' })
  const count = totals('races', 'soft delete: any request with a deleted id')
  const ada = await here.someone()
  const { body: gone } = await ada.call('POST', '/api/tasks', { title: 'gone', tags: ['t'] })
  await ada.call('POST', '/api/tasks', { title: 'here', tags: ['t'] })
  await ada.call('DELETE', `/api/tasks/${gone.id}`)
  const before = (await rowsOf(ada.id)).tasks.find(({ id }) => id === gone.id)
  const routes = protectedRoutes(here.app).filter(
    ({ path }) => /^\/api\/tasks/.test(path) && !/trash|restore/.test(path),
  )
  const batches = (id: string) => [
    { update: [{ id, title: 'x' }] },
    { complete: [{ id }] },
    { delete: [id] },
    { create: [{ title: 'x' }], delete: [id] },
  ]

  await eachCase('deleted', budget(400, 10_000), 1, async (random, at) => {
    const { method, path, body } = random.of(routes)
    const query = random.of(['', '', '?q=gone', '?tag=t', '?sort=title', '?completed=false'])
    const place = random.below(4)
    const headers = random.chance(30) ? { [random.of(['if-match', 'if-none-match'])]: '"1"' } : {}
    const ask = async (id: string) => {
      const sent = path.endsWith('/batch') ? batches(id)[place] : body
      const target = filled(path, id) + (method === 'GET' && path === '/api/tasks' ? query : '')
      return ada.call(method, target, sent, headers)
    }

    const answer = await ask(gone.id)

    count.tried(answer.status >= 400)
    const what = `${method} ${path}${query} ${JSON.stringify(headers)}`
    count.allWrong(wrongsOf(answer), what, at)
    const isById = path.includes(':') || path.endsWith('/batch')
    if (
      isById &&
      JSON.stringify(comparable(answer)) !==
        JSON.stringify(comparable(await ask(Bun.randomUUIDv7())))
    )
      count.wrong(`differs from one that never was (${answer.status}): ${what}`, at)
    // The changes contain the deletion, without the content of the task.
    const forbidden = path.endsWith('/changes') ? '"title":"gone"' : gone.id
    if (answer.text.includes(forbidden)) count.wrong(`reveals it: ${what}`, at)
    statements.length = 0
    here.log.length = 0
  })

  const after = (await rowsOf(ada.id)).tasks.find(({ id }) => id === gone.id)
  expect(after).toEqual(before)
  const restored = await ada.call('POST', `/api/tasks/${gone.id}/restore`)
  expect(restored.body).toMatchObject({ title: 'gone', tags: ['t'], version: 3 })
  count.matches()
})
