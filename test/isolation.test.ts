import { afterEach, expect, test } from 'bun:test'
import { mailMessages, webhooks } from '../src/db/schema.ts'
import { claimsOf, signed } from './support/forge.ts'
import {
  onBehalfOf,
  recordStatement,
  takeFaults,
  touchesOf,
} from './support/recorded-statements/log.ts'
import { mentionsIn } from './support/recorded-statements/mentions.ts'
import { bodies, protectedRoutes } from './support/requests.ts'
import {
  comparable,
  database,
  filled,
  pass,
  realTime,
  rowsOf,
  type Service,
  sentBy,
  service,
} from './support/service.ts'
import { startSmtp } from './support/smtp.ts'

afterEach(realTime)

const parametersOf = (path: string) => path.match(/:\w+/g) ?? []

/** Bob's ids for each route that takes one. Ada must see none of these rows. */
const idOf: Record<string, (bob: Awaited<ReturnType<typeof owner>>) => string> = {
  'GET /api/tasks/:id': ({ task }) => task,
  'PUT /api/tasks/:id': ({ task }) => task,
  'PATCH /api/tasks/:id': ({ task }) => task,
  'POST /api/tasks/:id/restore': ({ deleted }) => deleted,
  'DELETE /api/tasks/trash/:id': ({ deleted }) => deleted,
  'PATCH /api/tasks/:id/complete': ({ task }) => task,
  'DELETE /api/tasks/:id': ({ task }) => task,
  'DELETE /api/auth/sessions/:id': ({ session }) => session,
  'DELETE /api/auth/tokens/:id': ({ personal }) => personal,
  'POST /api/tasks/:id/move': ({ task }) => task,
  'GET /api/lists/:id': ({ list }) => list,
  'PATCH /api/lists/:id': ({ list }) => list,
  'POST /api/lists/:id/move': ({ list }) => list,
  'DELETE /api/lists/:id': ({ list }) => list,
  'GET /api/webhooks/:id': ({ webhook }) => webhook,
  'PATCH /api/webhooks/:id': ({ webhook }) => webhook,
  'DELETE /api/webhooks/:id': ({ webhook }) => webhook,
  'POST /api/webhooks/:id/secret': ({ webhook }) => webhook,
  'POST /api/webhooks/:id/test': ({ webhook }) => webhook,
}

const malformed = [
  'x',
  '1',
  '%00',
  'null',
  '..%2f..',
  "'%20or%201=1--",
  '%F0%9F%98%80',
  '00000000-0000-0000-0000-000000000000',
  'undefined',
  'a'.repeat(2000),
]

const owner = async ({ someone }: Service) => {
  const bob = await someone()
  const { body } = await bob.call('POST', '/api/tasks', { title: 'of Bob' })
  const { body: trashed } = await bob.call('POST', '/api/tasks', { title: 'in the trash of Bob' })
  await bob.call('DELETE', `/api/tasks/${trashed.id}`)
  const { body: listed } = await bob.call('GET', '/api/auth/sessions')
  const session = listed.sessions[0].id as string
  const made = await bob.call('POST', '/api/auth/tokens', { name: 'of Bob', scope: 'tasks:write' })
  const personal = made.body.id as string
  // A name that never resolves (RFC 2606).
  const { body: hook } = await bob.call('POST', '/api/webhooks', { url: 'https://hooks.invalid/' })
  const { body: list } = await bob.call('POST', '/api/lists', { name: 'of Bob' })
  const ids = {
    task: body.id as string,
    deleted: trashed.id as string,
    webhook: hook.id as string,
    list: list.id as string,
  }
  return { ...bob, ...ids, session, personal }
}

/** The path of a route with an id of the user's own. */
const ownPath = (path: string, own: Awaited<ReturnType<typeof owner>>) => {
  const { task, deleted, session, personal } = own
  if (path.includes('tokens')) return filled(path, personal)
  if (path.includes('lists')) return filled(path, own.list)
  if (path.includes('webhooks')) return filled(path, own.webhook)
  const id = /trash|restore/.test(path) ? deleted : task
  return filled(path, path.includes('sessions') ? session : id)
}

test("every route with an id gives the same 404, byte for byte, for another user's id and a random one", async () => {
  const here = await service()
  const bob = await owner(here)
  const before = await rowsOf(bob.id)
  const routes = protectedRoutes(here.app).filter(({ path }) => parametersOf(path).length > 0)
  expect(routes.map(({ name }) => name).sort()).toEqual(Object.keys(idOf).sort())

  for (const { name, method, path, body } of routes) {
    // A new user each time, because ending sessions has a small limit.
    const ada = await here.someone()
    const asked = async (id: string) => comparable(await ada.call(method, filled(path, id), body))
    const theirs = idOf[name]?.(bob) ?? ''
    const absent = await asked(Bun.randomUUIDv7())
    expect([name, absent.status]).toEqual([name, 404])

    for (const id of [
      theirs,
      theirs.toUpperCase(),
      `urn:uuid:${theirs}`,
      `{${theirs}}`,
      bob.id,
      ...malformed,
    ])
      expect([name, id, await asked(id)]).toEqual([name, id, absent])
  }
  expect(await rowsOf(bob.id)).toEqual(before)
})

test('a user’s own deleted task and ended session give the same 404', async () => {
  const { app, call, someone } = await service()
  const ada = await someone()
  const { body: task } = await ada.call('POST', '/api/tasks', { title: 'x' })
  await ada.call('DELETE', `/api/tasks/${task.id}`)
  const login = await call('POST', '/api/auth/login', {
    body: { email: ada.email, password: ada.password },
  })
  const { body } = await ada.call('GET', '/api/auth/sessions')
  const ended = body.sessions.find((session: { current: boolean }) => !session.current).id
  await call('POST', '/api/auth/logout', { token: login.body.access_token })
  const { tasks, sessions } = await rowsOf(ada.id)

  for (const { name, method, path, body } of protectedRoutes(app)) {
    // A deleted task is in the trash, and can be restored.
    if (parametersOf(path).length === 0 || /trash|restore/.test(path)) continue
    const asked = async (id: string) => comparable(await ada.call(method, filled(path, id), body))
    const gone = path.includes('sessions') ? ended : task.id
    expect([name, await asked(gone)]).toEqual([name, await asked(Bun.randomUUIDv7())])
  }
  expect(await rowsOf(ada.id)).toMatchObject({ tasks, sessions })
})

test('no request of one user changes a row of another, on any route', async () => {
  const here = await service()
  const bob = await owner(here)
  const before = await rowsOf(bob.id)

  for (const { method, path, body } of protectedRoutes(here.app)) {
    const ada = await here.someone()
    await ada.call(method, filled(path, bob.task), body)
    await ada.call(method, filled(path, bob.deleted), body)
    await ada.call(method, filled(path, bob.session), body)
    await ada.call(method, filled(path, bob.id), body, { 'x-user-id': bob.id, user_id: bob.id })
  }

  expect(await rowsOf(bob.id)).toEqual(before)
})

test('a user_id in a body or a query never selects data, and one in a header is ignored', async () => {
  const here = await service()
  const bob = await owner(here)
  const ada = await owner(here)
  const before = [await rowsOf(ada.id), await rowsOf(bob.id)]

  for (const { name, method, path, body } of protectedRoutes(here.app)) {
    const own = ownPath(path, ada)
    const inQuery = await ada.call(method, `${own}?user_id=${bob.id}`, body)
    expect([name, inQuery.status, inQuery.body.errors?.[0]]).toEqual([
      name,
      422,
      { in: 'query', pointer: '/user_id', detail: expect.any(String) },
    ])
    if (method === 'GET' || name === 'PUT /api/tasks/:id') continue
    const inBody = await ada.call(method, own, { ...(body as object), user_id: bob.id })
    expect([name, inBody.status]).toEqual([name, 422])
    expect(inBody.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toContain(
      '/user_id',
    )
  }
  expect([await rowsOf(ada.id), await rowsOf(bob.id)]).toEqual(before)

  // PUT ignores it, so that a task can be sent back as it was read.
  const put = await ada.call('PUT', ownPath('/api/tasks/:id', ada), { title: 'x', user_id: bob.id })
  expect([put.status, put.body.user_id]).toEqual([200, ada.id])
  expect(await rowsOf(bob.id)).toEqual(before[1]!)

  const headers = { 'x-user-id': bob.id, 'user-id': bob.id, user_id: bob.id, from: bob.email }
  const created = await ada.call('POST', '/api/tasks', { title: 'mine' }, headers)
  expect(created.body.user_id).toBe(ada.id)
  const listed = await ada.call('GET', '/api/tasks', undefined, headers)
  expect(listed.body.tasks.map(({ user_id }: { user_id: string }) => user_id)).toEqual([
    ada.id,
    ada.id,
  ])
})

test('lists contain the user’s own rows and no others, over all pages', async () => {
  const here = await service()
  const people = await Promise.all([owner(here), owner(here), owner(here)])
  for (const round of [1, 2, 3, 4])
    for (const person of people) await person.call('POST', '/api/tasks', { title: `${round}` })

  for (const person of people) {
    const seen: string[] = []
    let path: string | null = '/api/tasks?limit=2'
    // Fails for a list without an end too.
    while (path !== null && seen.length <= 5) {
      const { body } = await person.call('GET', path)
      seen.push(...body.tasks.map(({ user_id }: { user_id: string }) => user_id))
      path = body.next_cursor && `/api/tasks?limit=2&cursor=${body.next_cursor}`
    }
    const { body } = await person.call('GET', '/api/auth/sessions')

    expect(seen).toEqual(Array(5).fill(person.id))
    expect(body.sessions.map(({ id }: { id: string }) => id)).toEqual([
      ...[person.session, person.personal],
    ])
  }
})

test('a cursor of another user, a modified one, and one of another secret are refused', async () => {
  const here = await service()
  const elsewhere = await service({
    JWT_SECRET: 'another secret that is long enough for the tests',
  })
  const [bob, ada, eve] = [await owner(here), await owner(here), await owner(elsewhere)]
  await bob.call('POST', '/api/tasks', { title: 'another' })
  await eve.call('POST', '/api/tasks', { title: 'another' })
  const cursorOf = async ({ call }: typeof bob) =>
    (await call('GET', '/api/tasks?limit=1')).body.next_cursor as string
  const [cursor, foreign] = [await cursorOf(bob), await cursorOf(eve)]
  const asked = async (who: typeof bob, text: string) => {
    const { status, body } = await who.call('GET', `/api/tasks?cursor=${encodeURIComponent(text)}`)
    return [status, body.code ?? body.tasks.length]
  }

  expect(await asked(bob, cursor)).toEqual([200, 1])
  expect(await asked(ada, cursor)).toEqual([400, 'malformed-request'])
  const last = Buffer.from(cursor, 'base64url')
  const bent = [...last.keys()].map((at) => {
    const bytes = Buffer.from(last)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes.toString('base64url')
  })
  for (const text of [
    ...bent,
    `${cursor}=`,
    `${cursor}A`,
    cursor.slice(1),
    'A',
    'null',
    ' ',
    foreign,
    'é',
  ])
    expect([text, ...(await asked(bob, text))]).toEqual([text, 400, 'malformed-request'])
})

/** The accesses of a request in words: its distinct statements in the order of sending. */
const touchedBy = (sent: Awaited<ReturnType<typeof sentBy>>) => [
  ...new Set(sent.map(({ statement }) => touchesOf(mentionsIn(statement)))),
]

type Sent = Awaited<ReturnType<typeof sentBy>>
type Owner = Pick<Awaited<ReturnType<typeof owner>>, 'id'>

/** Each statement names the user as the owner of its rows, and nobody else. */
const expectBound = (name: string, sent: Sent, ada: Owner, bob: Owner) => {
  for (const { statement, params } of sent) {
    const owners = mentionsIn(statement).flatMap(({ owner }) => [...(owner ?? [NaN])])
    const values = new Set(owners.map((number) => params[number - 1]))
    expect([name, statement, [...values]]).toEqual([name, statement, [ada.id]])
    expect(JSON.stringify(params)).not.toContain(bob.id)
  }
}

/** The requests that complete a recurring task, by a second statement. */
const completions = [
  {
    name: 'PATCH /api/tasks/:id/complete, the second statement for a recurring task',
    method: 'PATCH',
    path: '/api/tasks/:id/complete',
    bodyFor: () => ({ completed: true }),
  },
  {
    name: 'PATCH /api/tasks/:id/complete, the same with an Idempotency-Key',
    method: 'PATCH',
    path: '/api/tasks/:id/complete',
    bodyFor: () => ({ completed: true }),
    headers: { 'idempotency-key': 'once' },
  },
  {
    name: 'PATCH /api/tasks/:id, the second statement to complete a recurring task',
    method: 'PATCH',
    path: '/api/tasks/:id',
    bodyFor: () => ({ completed: true }),
  },
  {
    name: 'PUT /api/tasks/:id, the second statement to complete a recurring task',
    method: 'PUT',
    path: '/api/tasks/:id',
    bodyFor: () => ({ title: 'weekly', completed: true }),
  },
  {
    name: 'POST /api/tasks/batch, the second statement for recurring tasks',
    method: 'POST',
    path: '/api/tasks/batch',
    bodyFor: (id: string) => ({ complete: [{ id }] }),
  },
  {
    name: 'POST /api/tasks/batch, the same with an Idempotency-Key',
    method: 'POST',
    path: '/api/tasks/batch',
    bodyFor: (id: string) => ({ complete: [{ id }] }),
    headers: { 'idempotency-key': 'once' },
  },
]

test('what each route sends is bound to the user of the token, and is what docs/statements.md lists', async () => {
  const smtp = await startSmtp()
  const here = await service(smtp.env)
  const bob = await owner(here)
  const rows: [what: string, touches: string][] = []
  const list = (what: string, sent: Awaited<ReturnType<typeof sentBy>>) => {
    for (const touches of touchedBy(sent)) rows.push([what, touches])
  }

  for (const { name, method, path, body } of protectedRoutes(here.app))
    for (const key of [undefined, 'once']) {
      const ada = await owner(here)
      const headers = key === undefined ? {} : { 'idempotency-key': key }
      const sent = await sentBy(() => ada.call(method, ownPath(path, ada), body, headers))

      expect([name, sent.length > 0]).toEqual([name, true])
      expectBound(name, sent, ada, bob)
      const once = touchedBy(sent).some((touches) => touches.includes('idempotency_keys'))
      if (key === undefined || once) list(key ? `${name}, with an Idempotency-Key` : name, sent)
    }
  for (const { name, method, path, bodyFor, headers = {} } of completions) {
    const ada = await owner(here)
    const members = { title: 'weekly', due_on: '2026-06-01', recurrence: { rrule: 'FREQ=WEEKLY' } }
    const { body: task } = await ada.call('POST', '/api/tasks', members)
    const complete = () => ada.call(method, filled(path, task.id), bodyFor(task.id), headers)
    const sent = await sentBy(complete)
    expectBound(name, sent, ada, bob)
    expect([name, sent.length]).toEqual([name, 2])
    list(name, sent.slice(1))
  }
  const { email, password, token, id } = await owner(here)
  const form = new URLSearchParams({ grant_type: 'password', username: email, password })
  const asForm = { 'content-type': 'application/x-www-form-urlencoded' }
  const signUp = { email: `${Bun.randomUUIDv7()}@example.test`, password }
  list(
    'POST /api/auth/register',
    await sentBy(() => here.call('POST', '/api/auth/register', { body: signUp })),
  )
  list(
    'POST /api/auth/login',
    await sentBy(() => here.call('POST', '/api/auth/login', { body: { email, password } })),
  )
  list(
    'POST /api/oauth/token',
    await sentBy(() => here.call('POST', '/api/oauth/token', { body: `${form}`, headers: asForm })),
  )
  const { refresh_token } = (
    await here.call('POST', '/api/auth/login', { body: { email, password } })
  ).body
  list(
    'POST /api/auth/refresh, by a refresh token',
    await sentBy(() => here.call('POST', '/api/auth/refresh', { body: { refresh_token } })),
  )
  list(
    'POST /api/auth/logout, by the refresh cookie',
    await sentBy(() =>
      here.call('POST', '/api/auth/logout', {
        headers: { cookie: `taskwarden-refresh=${refresh_token}`, origin: 'http://localhost' },
      }),
    ),
  )
  await here.call('GET', '/api/tasks', { token })
  const { body: issued } = await here.call('POST', '/api/auth/stream-tickets', { token })
  await (await database()).db.delete(webhooks)
  await here.call('POST', '/api/webhooks', { token, body: { url: 'https://hooks.invalid/' } })
  await here.call('POST', '/api/tasks', { token, body: { title: 'for the webhook' } })
  list('webhooks, in the background', await sentBy(here.sendWebhooks))
  list(
    'GET /api/tasks/events, with a stream ticket',
    await sentBy(() => here.call('GET', `/api/tasks/events?ticket=${issued.ticket}`)),
  )
  const calendar = { name: 'phone', scope: 'calendar:read' }
  const { body: feed } = await here.call('POST', '/api/auth/tokens', { token, body: calendar })
  list(
    'GET /api/calendar/:secret',
    await sentBy(() => here.call('GET', new URL(feed.feed_url).pathname)),
  )
  const subscriber = { userId: id, sessionId: id, seen: () => 0, wake: () => {} }
  list('open event streams, every four seconds', await sentBy(() => here.pollFor([subscriber])))
  list('any use of a session, once a minute', await sentBy(here.flushActivity))
  list(
    'any request that is refused before its statement',
    await sentBy(() => here.call('POST', '/api/tasks', { token, body: { user_id: id } })),
  )
  const soon = { title: 'soon', reminders: [{ at: new Date(Date.now() + 1000).toISOString() }] }
  await here.call('POST', '/api/tasks', { token, body: soon })
  pass(2000)
  list('reminders, when they are due', await sentBy(here.deliverReminders))
  const { body: old } = await here.call('POST', '/api/tasks', { token, body: { title: 'old' } })
  await here.call('DELETE', `/api/tasks/${old.id}`, { token })
  pass(2 * 86_400_000)
  list('maintenance, once an hour', await sentBy(() => here.purge(1)))

  const wanted = { body: { email } }
  const body = { email: `${Bun.randomUUIDv7()}@example.test`, password }
  const verifying = await service({ ...smtp.env, EMAIL_VERIFICATION: 'required' })
  list(
    'POST /api/auth/register, with EMAIL_VERIFICATION=required',
    await sentBy(() => verifying.call('POST', '/api/auth/register', { body })),
  )
  const forgotten = () => here.call('POST', '/api/auth/password/forgot', wanted)
  list('POST /api/auth/password/forgot', await sentBy(forgotten))
  // Only what this test stores: other tests leave messages of any kind.
  await (await database()).db.delete(mailMessages)
  const patch = { email: `${Bun.randomUUIDv7()}@example.test`, current_password: password }
  await forgotten()
  await verifying.call('POST', '/api/auth/register', { body })
  await verifying.call('POST', '/api/auth/register', { body: { email, password } })
  await verifying.call('POST', '/api/auth/register', {
    body: { ...body, password: 'wrong donkey power plant' },
  })
  await here.call('PATCH', '/api/auth/me', { token, body: patch })
  const mailed = await sentBy(async () => {
    smtp.behave('4xx')
    await here.sendMail()
    smtp.behave('accept')
    pass(60_000)
    await here.sendMail()
  })
  for (const touches of touchedBy(mailed).toSorted())
    rows.push(['mail, in the background', touches])
  await smtp.stop()

  const table = rows.map(([what, touches]) => `| ${what} | ${touches} |\n`).join('')
  const page = 'docs/statements.md'
  const text = await Bun.file(page).text()
  const [head] = text.split('| --- | --- |\n')
  const now = `${head}| --- | --- |\n${table}`
  if (process.env.UPDATE === '1') await Bun.write(page, now)
  else expect(text).toBe(now)
})

test('a statement that is not bound to the user of the token fails the test that sent it', async () => {
  const request = (user: string) =>
    new Request('http://localhost/api/tasks', {
      headers: {
        authorization: `Bearer e30.${Buffer.from(JSON.stringify({ sub: user })).toString('base64url')}.x`,
      },
    })
  const noticed = (statement: string, params: unknown[], user = 'ada') => {
    onBehalfOf(request(user), () => recordStatement(statement, params))
    return takeFaults().map((why) => why.split('\n')[0])
  }
  const mine = 'select title from tasks where user_id = $1'

  expect(noticed(mine, ['ada'])).toEqual([])
  expect(noticed(mine, ['bob'])).toEqual(['GET /api/tasks: read tasks: for another user:'])
  expect(noticed('select title from tasks where id = $1', ['ada'])).toEqual([
    'GET /api/tasks: read tasks by id: not bound:',
  ])
  expect(noticed(`${mine} union all select name from sessions where user_id = $2`, ['ada', 'bob']))
    // biome-ignore format: one line per statement
    .toEqual(['GET /api/tasks: read tasks, read sessions: for several users at once:'])
  expect(noticed('delete from sessions where expires_at <= $1', ['2026'])).toEqual([
    'GET /api/tasks: delete from sessions by expires_at: not bound:',
  ])
  expect(noticed('select 1 from secrets', [])).toEqual([
    'Error: not a table of the schema: secrets',
  ])
  recordStatement(mine, ['ada'])
  expect(takeFaults()).toEqual([`read tasks: sent outside of any request:\n${mine}`])
})

test('the table of bodies has no entry for a removed route', async () => {
  const { app } = await service()
  const names = app.routes.map(({ method, path }) => `${method} ${path}`)

  expect(Object.keys(bodies).filter((name) => !names.includes(name))).toEqual([])
})

/** Two ways to end a session whose token still has a valid signature. */
const deaths: [how: string, token: (here: Service, token: string) => Promise<string>][] = [
  [
    'has been ended',
    async (here, token) => {
      await here.call('POST', '/api/auth/logout', { token })
      return token
    },
  ],
  [
    'is past its end, whatever its token says,',
    async (_, token) => {
      pass(25 * 3_600_000)
      const iat = Math.floor(Date.now() / 1000)
      return signed({ claims: { ...claimsOf(token), iat, exp: iat + 3600 } })
    },
  ],
]

test.each(deaths)('a session that %s changes nothing, on any route', async (_, die) => {
  const here = await service()
  const ada = await owner(here)
  const login = await here.call('POST', '/api/auth/login', {
    body: { email: ada.email, password: ada.password },
  })
  const token = await die(here, login.body.access_token)
  const before = await rowsOf(ada.id)

  for (const { name, method, path, body } of protectedRoutes(here.app)) {
    const { status } = await here.call(method, ownPath(path, ada), { token, body })
    expect([name, status]).toEqual([name, 401])
    expect([name, await rowsOf(ada.id)]).toEqual([name, before])
  }
})
