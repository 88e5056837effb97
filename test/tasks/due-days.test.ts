import { describe, expect, test } from 'bun:test'
import { createAccountRepository } from '../../src/auth/accounts/repository.ts'
import { isUnknownTimeZone } from '../../src/db/errors.ts'
import { createNoticeStatements } from '../../src/mail/notices.ts'
import { claimsOf } from '../support/forge.ts'
import { database, service } from '../support/service.ts'

const tasks = '/api/tasks'
const noon = '2026-12-24T12:00:00.000Z'
const conflict = (pointer: string, detail = 'excludes due_at: one of them must be null') => ({
  in: 'body',
  pointer,
  detail,
})

const ada = async () => (await service()).someone()

describe('a day', () => {
  test.each(['2026-12-24', '2028-02-29', '0001-01-01', '9999-12-31'])(
    '%s stays what it was',
    async (due_on) => {
      const { call } = await ada()
      const made = (await call('POST', tasks, { title: 'x', due_on })).body
      const path = `${tasks}/${made.id}`
      const put = (await call('PUT', path, { title: 'y', due_on })).body
      const patched = (await call('PATCH', path, { due_on })).body
      const listed = (await call('GET', tasks)).body.tasks[0]
      expect([made, put, patched, listed].map((task) => [task.due_on, task.due_at])).toEqual(
        Array(4).fill([due_on, null]),
      )
    },
  )

  test.each([
    '2026-02-29',
    '2026-12-24T00:00:00Z',
    '2026-12-4',
    '20261224',
    '0000-01-01',
    '',
    'today',
    20261224,
    true,
  ])('%p is refused', async (due_on) => {
    const { call } = await ada()
    const { status, body } = await call('POST', tasks, { title: 'x', due_on })
    const detail = 'must be a day in the years 0001 to 9999, such as 2026-12-24'
    expect([status, body.errors[0].pointer]).toEqual([422, '/due_on'])
    expect(body.errors[0].detail).toStartWith(detail)
  })
})

describe('a day and a time exclude each other', () => {
  test('in one body', async () => {
    const { call } = await ada()
    const both = { title: 'x', due_at: noon, due_on: '2026-12-24' }
    const { id } = (await call('POST', tasks, { title: 'x' })).body
    for (const [method, path] of [
      ['POST', tasks],
      ['PUT', `${tasks}/${id}`],
      ['PATCH', `${tasks}/${id}`],
    ] as const) {
      const { status, body } = await call(method, path, both)
      expect([method, status, body.errors]).toEqual([method, 422, [conflict('/due_on')]])
    }
    const batch = await call('POST', `${tasks}/batch`, {
      create: [{ title: 'y' }, both],
      update: [{ id, ...both }],
    })
    expect([batch.status, batch.body.errors]).toEqual([
      422,
      [conflict('/create/1/due_on'), conflict('/update/0/due_on')],
    ])
    const imported = await call('POST', `${tasks}/import`, { tasks: [{ title: 'y' }, both] })
    const detail = 'due_on excludes due_at: one of them must be null'
    expect([imported.status, imported.body.errors]).toEqual([422, [conflict('/tasks/1', detail)]])
    expect((await call('GET', tasks)).body.tasks).toHaveLength(1)
  })

  test('in a patch of a task that has the other one', async () => {
    const { call } = await ada()
    const timed = (await call('POST', tasks, { title: 'timed', due_at: noon })).body
    const daily = (await call('POST', tasks, { title: 'daily', due_on: '2026-12-24' })).body
    const day = { due_on: '2026-12-25' }
    const hasTime = conflict('/due_on', 'the task has due_at: send due_at: null too')
    const hasDay = conflict('/due_at', 'the task has due_on: send due_on: null too')

    const patched = await call('PATCH', `${tasks}/${timed.id}`, day)
    expect([patched.status, patched.body.errors]).toEqual([422, [hasTime]])
    const other = await call('PATCH', `${tasks}/${daily.id}`, { due_at: noon })
    expect([other.status, other.body.errors]).toEqual([422, [hasDay]])
    const batch = await call('POST', `${tasks}/batch`, {
      create: [{ title: 'never' }],
      update: [
        { id: daily.id, ...day },
        { id: timed.id, version: 1, ...day },
      ],
    })
    expect([batch.status, batch.body.errors]).toEqual([
      422,
      [{ ...hasTime, pointer: '/update/1/due_on' }],
    ])
    for (const task of [timed, daily])
      expect((await call('GET', `${tasks}/${task.id}`)).body).toEqual(task)
    expect((await call('GET', tasks)).body.tasks).toHaveLength(2)

    const changed = await call('PATCH', `${tasks}/${timed.id}`, { ...day, due_at: null })
    expect([changed.status, changed.body.due_at, changed.body.due_on]).toEqual([
      200,
      null,
      day.due_on,
    ])
    const back = await call('POST', `${tasks}/batch`, {
      update: [{ id: timed.id, due_at: noon, due_on: null }],
    })
    expect(back.body.updated[0]).toMatchObject({ due_at: noon, due_on: null })
  })

  test('a stale version is reported before it', async () => {
    const { call } = await ada()
    const { id } = (await call('POST', tasks, { title: 'x', due_at: noon })).body
    const body = { due_on: '2026-12-24' }
    const { status } = await call('PATCH', `${tasks}/${id}`, body, { 'if-match': '"7"' })
    expect(status).toBe(412)
  })
})

test('in lists, a day counts as its start in UTC, whatever the time zone of the user', async () => {
  const { call } = await ada()
  await call('PATCH', '/api/auth/me', { time_zone: 'Pacific/Auckland' })
  for (const [title, due] of Object.entries({
    before: { due_at: '2026-12-23T23:59:59.999Z' },
    day: { due_on: '2026-12-24' },
    after: { due_at: '2026-12-24T00:00:00.001Z' },
    none: {},
  }))
    await call('POST', tasks, { title, ...due })
  const listed = async (query: string) =>
    (await call('GET', `${tasks}?${query}`)).body.tasks.map(({ title }: { title: string }) => title)

  expect(await listed('sort=due_at')).toEqual(['before', 'day', 'after', 'none'])
  expect(await listed('sort=-due_at')).toEqual(['after', 'day', 'before', 'none'])
  expect(await listed('sort=due_at&due_before=2026-12-24T00:00:00Z')).toEqual(['before'])
  expect(await listed('sort=due_at&due_before=2026-12-24T00:00:00.001Z')).toEqual(['before', 'day'])
  expect(await listed('sort=due_at&due_after=2026-12-23T23:59:59.999Z')).toEqual(['day', 'after'])
  expect(await listed('sort=due_at&due_after=2026-12-24T00:00:00Z')).toEqual(['after'])
})

describe('the time zone of a user', () => {
  const me = '/api/auth/me'

  test('is UTC until it is changed, and in the spelling of the IANA database', async () => {
    const { call } = await ada()
    expect((await call('GET', me)).body.time_zone).toBe('UTC')
    const changed = await call('PATCH', me, { time_zone: 'asia/KATHMANDU' })
    expect([changed.status, changed.body.time_zone]).toEqual([200, 'Asia/Kathmandu'])
    const named = await call('PATCH', me, { name: 'Ada' })
    expect(named.body).toEqual({ ...changed.body, name: 'Ada' })
    expect((await call('GET', me)).body).toEqual(named.body)
    expect((await call('PATCH', me, {})).body).toEqual(named.body)
  })

  test('is refused if the database does not know it', async () => {
    const { call, id, token } = await ada()
    const { db } = await database()
    const { sid } = claimsOf(token)
    const notices = createNoticeStatements(db, false)
    const account = createAccountRepository(db, notices)({ userId: id, sessionId: `${sid}` })
    const refused = await account.change({ time_zone: 'Europe/Atlantis' }).catch((error) => error)
    expect(isUnknownTimeZone(refused)).toBe(true)
    expect(await account.change({ time_zone: 'Europe/Berlin' })).toMatchObject({ id })
    expect((await call('GET', me)).body.time_zone).toBe('Europe/Berlin')
  })

  test('changes together with the e-mail', async () => {
    const { call, email, password } = await ada()
    const next = { email: `x${email}`, time_zone: 'Pacific/Chatham', name: 'A' }
    const { status, body } = await call('PATCH', me, { ...next, current_password: password })
    expect(status).toBe(200)
    expect(body).toMatchObject(next)
  })

  test.each([
    '+02:00',
    'CEST',
    'Europe/Atlantis',
    '',
    ' UTC',
    'UTC\n',
    'Europe/Berlin;drop',
    7,
    null,
  ])('%p is refused', async (time_zone) => {
    const { call } = await ada()
    const { status, body } = await call('PATCH', me, { time_zone })
    const detail = 'must be an IANA time zone, such as Europe/Berlin'
    expect([status, body.errors]).toEqual([422, [conflict('/time_zone', detail)]])
  })
})
