import { afterEach, expect, test } from 'bun:test'
import ICAL from 'ical.js'
import { at, pass, realTime, rowsOf, type Service, service } from '../support/service.ts'
import { importAll } from '../support/walk-pages.ts'

afterEach(realTime)

const tokens = '/api/auth/tokens'

const subscribed = async (here: Service, expires_in?: number) => {
  const ada = await here.someone()
  const made = await ada.call('POST', tokens, {
    name: 'phone',
    scope: 'calendar:read',
    ...(expires_in && { expires_in }),
  })
  expect(made.status).toBe(201)
  const url = new URL(made.body.feed_url)
  const read = (headers: Record<string, string> = {}) => here.call('GET', url.pathname, { headers })
  return { ...ada, made: made.body, url, path: url.pathname, read }
}
const todosOf = (text: string) => new ICAL.Component(ICAL.parse(text)).getAllSubcomponents('vtodo')

test('a token for a calendar has a URL instead of an access token, once', async () => {
  const here = await service()
  const { made, call } = await subscribed(here)
  expect(Object.keys(made).sort()).toEqual(
    ['created_at', 'expires_at', 'feed_url', 'id', 'last_seen_at', 'name', 'scope'].sort(),
  )
  expect(made.feed_url).toMatch(/^http:\/\/localhost\/api\/calendar\/[\w-]{100,}\.ics$/)
  const { body } = await call('GET', tokens)
  const { feed_url: _, ...shown } = made
  expect(body.tokens).toEqual([shown])
})

test.each([
  [{ PUBLIC_URL: 'https://tasks.example.com' }, {}, 'https://tasks.example.com'],
  [{}, { 'x-forwarded-proto': 'https' }, 'http://localhost'],
  [{ TRUST_PROXY: '1' }, { 'x-forwarded-proto': 'https' }, 'https://localhost'],
])('with %j and %j, the URL starts with %s', async (settings, headers, origin) => {
  const { call } = await (await service(settings)).someone()
  const { body } = await call('POST', tokens, { name: 'x', scope: 'calendar:read' }, headers)
  expect(new URL(body.feed_url).origin).toBe(origin)
})

test('a calendar program reads all tasks of the user', async () => {
  at('2026-06-01T08:00:00.000Z')
  const here = await service()
  const { call, read } = await subscribed(here)
  const other = await subscribed(here)
  const title = `Buy ${'ä'.repeat(100)}; milk, eggs\nand bread`
  const tasks = [
    { title, due_on: '2026-06-02' },
    { title: 'meet', due_at: '2026-06-02T09:30:00+02:00' },
    {
      title: 'weekly',
      due_at: '2026-06-02T07:00:00Z',
      recurrence: { rrule: 'FREQ=WEEKLY', time_zone: 'Europe/Berlin' },
    },
  ]
  for (const task of tasks) await call('POST', '/api/tasks', task)
  const done = (await call('POST', '/api/tasks', { title: 'done' })).body
  await call('PATCH', `/api/tasks/${done.id}/complete`)
  const trashed = (await call('POST', '/api/tasks', { title: 'in the trash' })).body
  await call('DELETE', `/api/tasks/${trashed.id}`)

  const { status, headers, text } = await read()
  const todos = todosOf(text)
  const property = (name: string) =>
    todos.map((todo) => todo.getFirstProperty(name)?.toICALString())
  expect([status, headers.get('content-type')]).toEqual([200, 'text/calendar; charset=utf-8'])
  expect(headers.get('cache-control')).toBe('private, no-cache')
  expect(headers.get('content-disposition')).toBe('inline; filename="tasks.ics"')
  expect(todos.map((todo) => todo.getFirstPropertyValue('summary'))).toEqual([
    title,
    'meet',
    'weekly',
    'done',
  ])
  expect(property('due')).toEqual([
    'DUE;VALUE=DATE:20260602',
    'DUE:20260602T073000Z',
    'DUE;TZID=Europe/Berlin:20260602T090000',
    undefined,
  ])
  expect(property('status')[3]).toBe('STATUS:COMPLETED')
  expect(text.split('\r\n').filter((line) => Buffer.byteLength(line) > 75)).toEqual([])
  expect(todosOf((await other.read()).text)).toEqual([])

  const again = todosOf((await read()).text)
  expect(again.map((todo) => todo.getFirstPropertyValue('uid'))).toEqual(
    todos.map((todo) => todo.getFirstPropertyValue('uid')),
  )
})

test('an unchanged feed is a 304, and each change has another ETag', async () => {
  const here = await service()
  const { call, read } = await subscribed(here)
  const first = await read()
  const etag = first.headers.get('etag') ?? ''
  const same = await read({ 'if-none-match': etag })
  const several = await read({ 'if-none-match': `"x", W/${etag}` })
  const head = await here.call('HEAD', (await subscribed(here)).path)
  await call('POST', '/api/tasks', { title: 'new' })
  const changed = await read({ 'if-none-match': etag })

  expect([same.status, same.text, same.headers.get('etag')]).toEqual([304, '', etag])
  expect(several.status).toBe(304)
  expect([head.status, head.text]).toEqual([200, ''])
  expect([changed.status, todosOf(changed.text)]).toEqual([200, [expect.anything()]])
  expect(changed.headers.get('etag')).not.toBe(etag)
})

test('the tag of another year is not the tag of this one, because the feed describes time zones', async () => {
  at('2026-12-31T23:59:00.000Z')
  const { call, read } = await subscribed(await service())
  await call('POST', '/api/tasks', { title: 'x' })
  const etag = (await read()).headers.get('etag') ?? ''
  at('2027-01-01T00:01:00.000Z')
  const { status, text } = await read({ 'if-none-match': etag })
  expect([status, todosOf(text).length]).toEqual([200, 1])
})

test('a feed of many tasks is complete', async () => {
  const here = await service()
  const { call, read } = await subscribed(here)
  const titles = Array.from({ length: 1203 }, (_, at) => `${at}`)
  await importAll(
    { call },
    titles.map((title) => ({ title })),
  )
  const { text } = await read()
  expect(todosOf(text).map((todo) => todo.getFirstPropertyValue('summary'))).toEqual(titles)
})

test('the secret is accepted nowhere else, and nothing else is accepted as the secret', async () => {
  const here = await service()
  const ada = await subscribed(here)
  const secret = ada.path.replace(/.*\/|\.ics$/g, '')
  for (const path of ['/api/tasks', '/api/auth/me', `/api/tasks/events?ticket=${secret}`])
    for (const token of [secret, `${secret}.ics`])
      expect([path, (await here.call('GET', path, { token })).status]).toEqual([path, 401])

  const { body: ticket } = await ada.call('POST', '/api/auth/stream-tickets')
  const { body: personal } = await ada.call('POST', tokens, { name: 'x', scope: 'tasks:write' })
  const wrong = [
    ticket.ticket,
    ada.token,
    personal.access_token,
    secret.slice(0, -1),
    `${secret}A`,
    `${secret[0] === 'A' ? 'B' : 'A'}${secret.slice(1)}`,
    ada.made.id,
    '',
    '%00',
  ]
  for (const one of wrong) {
    const { status, body } = await here.call('GET', `/api/calendar/${one}.ics`)
    expect([one, status, body.code]).toEqual([one, 404, 'calendar-not-found'])
  }
  expect((await here.call('GET', `/api/calendar/${secret}`)).status).toBe(404)
  // A valid access token does not help.
  const { status } = await ada.call('GET', `/api/calendar/${'A'.repeat(200)}.ics`)
  expect(status).toBe(404)
})

test.each(['token', 'sessions', 'password', 'expiry', 'account'])(
  'a feed ends with its %s',
  async (what) => {
    const here = await service()
    const { call, made, read, password } = await subscribed(here, 3600)
    const etag = (await read()).headers.get('etag') ?? ''
    const current_password = password
    if (what === 'token') await call('DELETE', `${tokens}/${made.id}`)
    if (what === 'sessions') await call('DELETE', '/api/auth/sessions')
    if (what === 'password')
      await call('PUT', '/api/auth/me/password', {
        current_password,
        new_password: 'wrong donkey power plant',
      })
    if (what === 'expiry') pass(3_601_000)
    if (what === 'account') await call('DELETE', '/api/auth/me', { current_password })
    for (const headers of [{}, { 'if-none-match': etag }]) {
      const { status, body } = await read(headers as Record<string, string>)
      expect([status, body.code]).toEqual([404, 'calendar-not-found'])
    }
  },
)

test('the database has the hash of the secret only, and the log the pattern of the route', async () => {
  const here = await service({ LOG_LEVEL: 'info' })
  const { path, read, id } = await subscribed(here)
  await read()
  await here.call('GET', `${path}x.ics`)
  const secret = path.replace(/.*\/|\.ics$/g, '')
  const lines = () => here.log.filter(({ route }) => route === '/api/calendar/:secret')
  while (lines().length < 2) await Bun.sleep(1)
  const log = JSON.stringify(here.log)
  expect(lines()).toMatchObject([{ status: 200, user_id: id }, { status: 404 }])
  expect(log).not.toContain(secret.slice(0, 20))
  const { sessions } = await rowsOf(id)
  expect(JSON.stringify(sessions)).not.toContain(secret.slice(0, 20))
})

test('requests are counted for the user of the feed; those with a wrong secret for the address', async () => {
  const here = await service({ RATE_LIMIT: '5' })
  const { read, call } = await subscribed(here)
  const limits = [await read(), await read()].map(({ headers }) =>
    headers.get('ratelimit-remaining'),
  )
  expect(limits).toEqual(['3', '2'])
  expect((await call('GET', '/api/auth/me')).headers.get('ratelimit-remaining')).toBe('1')
})
