import { afterEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { usedStreamTickets } from '../../src/db/schema.ts'
import { type OpenOptions, openStream } from '../support/event-stream.ts'
import { onBehalfOf } from '../support/recorded-statements/log.ts'
import { at, database, pass, realTime, type Service, service } from '../support/service.ts'
import { startSmtp } from '../support/smtp.ts'

afterEach(realTime)

const day = 86_400_000

const owner = async (env: Record<string, string> = {}) => {
  const here = await service(env)
  const ada = await here.someone()
  const open = (options: OpenOptions = {}) => openStream(here.app, { token: ada.token, ...options })
  const add = async (title: string) => (await ada.call('POST', '/api/tasks', { title })).body
  return { here, ada, open, add, call: ada.call }
}

const ticketFor = async (here: Service, token: string): Promise<string> => {
  const { status, body } = await here.call('POST', '/api/auth/stream-tickets', { token })
  expect([status, body.expires_in]).toEqual([201, 60])
  return body.ticket
}

describe('an event stream', () => {
  test('begins with ready, and then has each change with the id of its position', async () => {
    const { open, add, call, ada } = await owner()
    await add('before')
    const stream = await open()
    expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(stream.headers.get('x-accel-buffering')).toBe('no')
    expect(await stream.until(1)).toEqual([{ id: expect.any(String), event: 'ready', data: {} }])

    const task = await add('a')
    await stream.until(2)
    await call('DELETE', `/api/tasks/${task.id}`)
    await stream.until(3)

    const [, upsert, removal] = stream.events
    expect(upsert).toEqual({ id: expect.any(String), event: 'upsert', data: task })
    expect(removal).toEqual({
      id: expect.any(String),
      event: 'delete',
      data: { id: task.id, deleted_at: expect.any(String) },
    })
    // The ids are tokens of the changes feed too.
    const { body } = await ada.call('GET', `/api/tasks/changes?since=${upsert?.id}`)
    expect(body.changes).toEqual([{ op: 'delete', ...removal?.data }])
    await stream.close()
  })

  test('continues after the last id, which is before `since`, without a gap and without a repetition', async () => {
    const { open, add } = await owner()
    const first = await open()
    await first.until(1)
    const since = first.lastId()
    await first.close()
    const tasks = [await add('a'), await add('b'), await add('c')]

    const second = await open({ query: `?since=${since}` })
    await second.until(4)
    expect(second.events.map(({ data }) => data)).toEqual([{}, ...tasks])
    expect(second.events[0]?.id).toBe(since)
    const afterA = second.events[1]?.id ?? ''
    await second.close()

    const third = await open({ query: `?since=${since}`, lastEventId: afterA })
    await third.until(3)
    expect(third.events.map(({ data }) => data)).toEqual([{}, ...tasks.slice(1)])
    const d = await add('d')
    await third.until(4)
    expect(third.events.at(-1)?.data).toEqual(d)
    await third.close()
  })

  test('delivers more changes than one statement reads, in their order', async () => {
    const { open, call } = await owner()
    const stream = await open()
    await stream.until(1)
    const create = Array.from({ length: 50 }, (_, n) => ({ title: `${n}` }))
    const { body } = await call('POST', '/api/tasks/batch', { create })

    await stream.until(51)
    const ids = stream.events.slice(1).map(({ data }) => data.id)
    expect(ids).toEqual(body.created.map(({ id }: { id: string }) => id).toSorted())
    // Each id is a position to continue at.
    const tenth = await open({ lastEventId: stream.events[10]?.id ?? '' })
    await tenth.until(41)
    expect(tenth.events.slice(1).map(({ data }) => data.id)).toEqual(ids.slice(10))
    await Promise.all([stream.close(), tenth.close()])
  })

  test('never has a change of another user, or starts at the position of one', async () => {
    const { here, open, add } = await owner()
    const eve = await here.someone()
    const stream = await openStream(here.app, { token: eve.token })
    await add('private')
    await eve.call('POST', '/api/tasks', { title: 'own' })
    await stream.until(2)
    expect(stream.events.map(({ data }) => data.title)).toEqual([undefined, 'own'])

    const other = await open({ lastEventId: stream.lastId() })
    expect([other.status, other.code]).toEqual([400, 'malformed-request'])
    const changed = await open({ query: `?since=${stream.lastId().replace(/.$/, 'x')}` })
    expect(changed.status).toBe(400)
    await stream.close()
  })

  test('with a token that is older than the tombstones is 410', async () => {
    at('2007-01-01T00:00:00.000Z')
    const { here, open } = await owner({
      TRASH_DAYS: '7',
      JWT_TTL_SECONDS: '2592000',
      SESSION_MAX_DAYS: '3650',
    })
    const stream = await open()
    await stream.until(1)
    await stream.close()
    pass(6 * day)
    const renewed = await open({ lastEventId: stream.lastId() })
    await renewed.until(1)
    await renewed.close()
    pass(day + 1)
    const late = await open({ lastEventId: stream.lastId() })
    expect([late.status, late.code]).toEqual([410, 'sync-expired'])
    // The ready event of an unchanged feed renews the position.
    const again = await open({ lastEventId: renewed.lastId() })
    expect(again.status).toBe(200)
    await again.close()
    expect(here.log.some(({ event }) => event === 'stream failed')).toBe(false)
  })

  test.each<[string, (end: Awaited<ReturnType<typeof owner>>) => Promise<unknown>]>([
    ['sign-out', ({ call }) => call('POST', '/api/auth/logout')],
    ['the end of all sessions', ({ call }) => call('DELETE', '/api/auth/sessions')],
    [
      'erasure',
      ({ call, ada }) => call('DELETE', '/api/auth/me', { current_password: ada.password }),
    ],
  ])('ends after %s', async (_, end) => {
    const context = await owner()
    const stream = await context.open()
    await stream.until(1)

    await end(context)
    await stream.ended()

    expect(stream.events.at(-1)).toEqual({
      id: undefined,
      event: 'end',
      data: { code: 'session-ended' },
    })
    expect((await context.open()).status).toBe(401)
  })

  test('ends after a reset of the password, which has no token of the session', async () => {
    const smtp = await startSmtp()
    const { here, ada, open } = await owner(smtp.env)
    const stream = await open()
    await stream.until(1)
    await here.call('POST', '/api/auth/password/forgot', { body: { email: ada.email } })
    await here.sendMail()
    const [mail] = smtp.mailsTo(ada.email)
    const token = /#token=([\w-]{64})/.exec(mail?.text ?? '')?.[1]
    const body = { token, new_password: 'wrong donkey power plant' }
    expect((await here.call('POST', '/api/auth/password/reset', { body })).status).toBe(204)
    await stream.ended()
    expect(stream.events.at(-1)?.data).toEqual({ code: 'session-ended' })
    await smtp.stop()
  })

  test('ends after a copied refresh token was used', async () => {
    const { here, ada } = await owner()
    const { body } = await here.call('POST', '/api/auth/login', {
      body: { email: ada.email, password: ada.password },
    })
    const stream = await openStream(here.app, { token: body.access_token })
    await stream.until(1)
    const refresh = (refresh_token: string) =>
      here.call('POST', '/api/auth/refresh', { body: { refresh_token } })
    const first = await refresh(body.refresh_token)
    await refresh(first.body.refresh_token)
    pass(120_000)
    expect((await refresh(body.refresh_token)).status).toBe(401)
    await stream.ended()
    expect(stream.events.at(-1)?.data).toEqual({ code: 'session-ended' })
  })

  test('that is read only after the sign-out ends too', async () => {
    const { here, ada, call } = await owner()
    const request = new Request('http://localhost/api/tasks/events', {
      headers: { authorization: `Bearer ${ada.token}` },
    })
    const response = await here.app.fetch(request)
    await call('POST', '/api/auth/logout')
    const text = await onBehalfOf(request, () => response.text())
    expect(text).toContain('event: ready')
    expect(text).toEndWith('event: end\ndata: {"code":"session-ended"}\n\n')
  })

  test('goes on after another session has ended', async () => {
    const { here, ada, open, add, call } = await owner()
    const { body } = await here.call('POST', '/api/auth/login', {
      body: { email: ada.email, password: ada.password },
    })
    const stream = await open()
    const other = await openStream(here.app, { token: body.access_token })
    await call('PUT', '/api/auth/me/password', {
      current_password: ada.password,
      new_password: 'wrong donkey power plant',
    })
    await other.ended()
    expect(other.events.at(-1)?.data).toEqual({ code: 'session-ended' })
    await add('still')
    await stream.until(2)
    expect(stream.events.at(-1)?.data.title).toBe('still')
    await stream.close()
  })

  test('ends when its token expires', async () => {
    const { open } = await owner()
    const stream = await open()
    await stream.until(1)
    pass(86_400_000 - 1000)
    await Bun.sleep(1100)
    pass(1000)
    await stream.ended()
    expect(stream.events.at(-1)?.data).toEqual({ code: 'token-expired' })
  })

  test('ends when the process stops, also one that opens meanwhile', async () => {
    const { here, open } = await owner()
    const stream = await open()
    await stream.until(1)
    here.stopping.abort()
    await stream.ended()
    const late = await open()
    await late.ended()
    for (const { events } of [stream, late])
      expect(events.map(({ event }) => event)).toEqual(['ready', 'end'])
    expect(stream.events.at(-1)?.data).toEqual({ code: 'draining' })
  })

  test('is limited to ten per user, and a closed one makes room', async () => {
    const { here, open } = await owner()
    const eve = await here.someone()
    const streams = await Promise.all(Array.from({ length: 12 }, () => open()))
    const refused = streams.filter(({ status }) => status !== 200)
    expect(refused.map(({ status, code }) => [status, code])).toEqual(
      Array(2).fill([429, 'too-many-streams']),
    )
    const other = await openStream(here.app, { token: eve.token })
    expect(other.status).toBe(200)
    for (const stream of [other, ...streams]) await stream.close()
    const again = await Promise.all(Array.from({ length: 10 }, () => open()))
    expect(again.map(({ status }) => status)).toEqual(Array(10).fill(200))
    for (const stream of again) await stream.close()
  })

  test('that is refused takes no place', async () => {
    const { open, call } = await owner()
    for (let n = 0; n < 12; n++) expect((await open({ lastEventId: 'x' })).status).toBe(400)
    const { status, text, headers } = await call('HEAD', '/api/tasks/events')
    expect([status, text, headers.get('content-type')]).toEqual([
      200,
      '',
      'text/event-stream; charset=utf-8',
    ])
    for (let n = 0; n < 10; n++) await call('HEAD', '/api/tasks/events')
    const stream = await open()
    expect(stream.status).toBe(200)
    await stream.close()
  })

  test('is not open to a token without the scope, and is open to one that may read', async () => {
    const { here, call } = await owner()
    const { body } = await call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
    const stream = await openStream(here.app, { token: body.access_token })
    expect(stream.status).toBe(200)
    await call('DELETE', `/api/auth/tokens/${body.id}`)
    await stream.ended()
    expect(stream.events.at(-1)?.data).toEqual({ code: 'session-ended' })
    expect((await openStream(here.app, {})).status).toBe(401)
  })
})

describe('a stream ticket', () => {
  test('opens one stream, of the session that requested it', async () => {
    const { here, ada, add, call } = await owner()
    const ticket = await ticketFor(here, ada.token)
    // A HEAD does not use it up.
    expect((await here.call('HEAD', `/api/tasks/events?ticket=${ticket}`)).status).toBe(200)
    const stream = await openStream(here.app, { query: `?ticket=${ticket}` })
    await stream.until(1)
    const task = await add('a')
    await stream.until(2)
    expect(stream.events.at(-1)?.data).toEqual(task)
    expect((await openStream(here.app, { query: `?ticket=${ticket}` })).status).toBe(401)
    await call('POST', '/api/auth/logout')
    await stream.ended()
    expect(stream.events.at(-1)?.data).toEqual({ code: 'session-ended' })
  })

  test('opens one stream even if it is used at the same time', async () => {
    const { here, ada } = await owner()
    const ticket = await ticketFor(here, ada.token)
    const streams = await Promise.all(
      Array.from({ length: 8 }, () => openStream(here.app, { query: `?ticket=${ticket}` })),
    )
    expect(streams.map(({ status }) => status).toSorted()).toEqual([200, ...Array(7).fill(401)])
    for (const stream of streams) await stream.close()
  })

  test('is refused after a minute, after sign-out, if it is forged, and on every other route', async () => {
    const { here, ada, call } = await owner()
    const ticket = await ticketFor(here, ada.token)
    for (const forged of ['', 'x', ticket.slice(1), `${ticket}A`, ada.token, ticket.toUpperCase()])
      expect((await openStream(here.app, { query: `?ticket=${forged}` })).status).toBe(401)
    for (const path of ['/api/tasks', '/api/tasks/changes', '/api/auth/me', '/api/tasks/export'])
      expect((await here.call('GET', `${path}?ticket=${ticket}`)).status).toBe(401)
    expect((await here.call('GET', '/api/tasks', { token: ticket })).status).toBe(401)

    pass(60_000)
    expect((await openStream(here.app, { query: `?ticket=${ticket}` })).status).toBe(401)
    const fresh = await ticketFor(here, ada.token)
    await call('POST', '/api/auth/logout')
    expect((await openStream(here.app, { query: `?ticket=${fresh}` })).status).toBe(401)
  })

  test('cannot be guessed: none of 10 000 changed tickets opens a stream', async () => {
    const { here, ada } = await owner()
    const ticket = await ticketFor(here, ada.token)
    const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (let n = 0; n < 10_000; n++) {
      const at = n % ticket.length
      const other = characters[(characters.indexOf(ticket[at] ?? '') + 1 + (n % 62)) % 64]
      const changed = ticket.slice(0, at) + other + ticket.slice(at + 1)
      const { status } = await openStream(here.app, { query: `?ticket=${changed}` })
      if (status !== 401) throw new Error(`${status}: ${changed}`)
    }
  }, 120_000)

  test('is not given to personal tokens, and is never logged', async () => {
    const { here, ada, call } = await owner()
    const { body } = await call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:write' })
    const answer = await here.call('POST', '/api/auth/stream-tickets', { token: body.access_token })
    expect([answer.status, answer.body.code]).toEqual([403, 'insufficient-scope'])
    const ticket = await ticketFor(here, ada.token)
    const stream = await openStream(here.app, { query: `?ticket=${ticket}` })
    await stream.until(1)
    await stream.close()
    const lines = () => here.log.filter(({ route }) => route === '/api/tasks/events')
    while (lines().length === 0) await Bun.sleep(1)
    expect(JSON.stringify(here.log)).not.toContain(ticket)
    expect(lines()).toMatchObject([{ event: 'request', status: 200, user_id: ada.id }])
  })

  test('that was used is deleted when it has expired', async () => {
    const { here, ada } = await owner()
    const ticket = await ticketFor(here, ada.token)
    const stream = await openStream(here.app, { query: `?ticket=${ticket}` })
    await stream.close()
    const { db } = await database()
    const rows = () =>
      db.select().from(usedStreamTickets).where(eq(usedStreamTickets.user_id, ada.id))
    expect(await rows()).toHaveLength(1)
    pass(61_000)
    await here.purge(30)
    expect(await rows()).toHaveLength(0)
  })
})
