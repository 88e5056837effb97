import { afterEach, expect, test } from 'bun:test'
import ICAL from 'ical.js'
import { at, pass, realTime, service } from '../support/service.ts'

afterEach(realTime)

const now = '2026-06-01T08:00:00.000Z'
const rrule = 'FREQ=DAILY;COUNT=200'

const exported = async (tasks: object[]) => {
  at(now)
  const { call } = await (await service()).someone()
  for (const task of tasks) expect((await call('POST', '/api/tasks', task)).status).toBe(201)
  const { text } = await call('GET', '/api/tasks/export?format=ics')
  const calendar = new ICAL.Component(ICAL.parse(text))
  return { text, calendar, todos: calendar.getAllSubcomponents('vtodo') }
}

test.each([
  'Europe/Berlin',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Asia/Kathmandu',
  'Pacific/Apia',
])('a recurring task of %s repeats at the same local time in other programs', async (time_zone) => {
  const due_at = '2026-06-01T12:00:00.000Z'
  const { calendar, todos } = await exported([
    { title: 'x', due_at, recurrence: { rrule, time_zone } },
  ])
  const [zoneOf] = calendar.getAllSubcomponents('vtimezone')
  const zone = new ICAL.Timezone(zoneOf ?? new ICAL.Component('vtimezone'))
  const start = todos[0]?.getFirstPropertyValue('dtstart') as ICAL.Time
  const rule = todos[0]?.getFirstPropertyValue('rrule') as ICAL.Recur
  expect(zone.tzid).toBe(time_zone)
  expect(todos[0]?.getFirstProperty('due')?.getParameter('tzid')).toBe(time_zone)

  const first = Temporal.Instant.from(due_at).toZonedDateTimeISO(time_zone)
  const occurrences = rule.iterator(start)
  for (let days = 0; days < 200; days++) {
    const local = occurrences.next()
    if (local === null) throw new Error(`the series ends after ${days} days`)
    local.zone = zone
    const expected = first.add({ days }).epochMilliseconds / 1000
    expect([days, local.toUnixTime()]).toEqual([days, expected])
  }
  expect(occurrences.next()).toBeFalsy()
})

test('a day has no time and no zone, and a completed task does not repeat', async () => {
  const recurrence = { rrule: 'FREQ=WEEKLY', time_zone: 'Europe/Berlin' }
  at(now)
  const { call } = await (await service()).someone()
  const { body } = await call('POST', '/api/tasks', {
    title: 'x',
    due_on: '2026-06-01',
    recurrence,
  })
  await call('PATCH', `/api/tasks/${body.id}/complete`)
  const { text } = await call('GET', '/api/tasks/export?format=ics')
  expect(text).not.toContain('VTIMEZONE')
  expect(
    text
      .split('BEGIN:VTODO')
      .slice(1)
      .map((todo) => todo.match(/^(DTSTART|DUE|RRULE|STATUS).*$/gm)),
  ).toEqual([
    ['DUE;VALUE=DATE:20260601', 'STATUS:COMPLETED'],
    [
      'DTSTART;VALUE=DATE:20260608',
      'DUE;VALUE=DATE:20260608',
      'RRULE:FREQ=WEEKLY',
      'STATUS:NEEDS-ACTION',
    ],
  ])
})

test('the description of a zone stays the same for a year', async () => {
  const recurrence = { rrule, time_zone: 'Europe/Berlin' }
  const task = { title: 'x', due_at: '2026-06-01T12:00:00.000Z', recurrence }
  at('2026-01-01T00:00:00.000Z')
  const { call } = await (await service()).someone()
  await call('POST', '/api/tasks', task)
  const read = async () => (await call('GET', '/api/tasks/export?format=ics')).text
  const first = await read()
  pass(86_400_000 - 1000)
  expect(await read()).toBe(first)
})

test('each zone is described once', async () => {
  const due_at = '2026-06-01T12:00:00.000Z'
  const [berlin, tokyo, utc] = ['Europe/Berlin', 'Asia/Tokyo', 'UTC'].map((time_zone) => ({
    title: 'x',
    due_at,
    recurrence: { rrule, time_zone },
  }))
  const { text, calendar } = await exported([berlin ?? {}, tokyo ?? {}, berlin ?? {}, utc ?? {}])
  const zones = calendar.getAllSubcomponents('vtimezone')
  expect(zones.map((zone) => zone.getFirstPropertyValue('tzid'))).toEqual([
    'Europe/Berlin',
    'Asia/Tokyo',
  ])
  expect(text).toContain('DTSTART:20260601T120000Z\r\nDUE:20260601T120000Z\r\n')
})
