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

test('reminders are alarms, which are read back as they were', async () => {
  const reminders = [
    { minutes_before: 0 },
    { minutes_before: 570 },
    { at: '2026-06-01T06:00:00.000Z' },
  ]
  const { text, todos } = await exported([
    { title: 'a, b', due_at: '2026-06-01T12:00:00Z', reminders },
    { title: 'day', due_on: '2026-06-01', reminders },
    { title: 'rule', due_on: '2026-06-01', reminders, recurrence: { rrule: 'FREQ=DAILY' } },
    { title: 'never', reminders },
  ])
  const triggers = todos.map((todo) =>
    todo.getAllSubcomponents('valarm').map((alarm) => {
      expect(alarm.getFirstPropertyValue('description')).toBe(todo.getFirstPropertyValue('summary'))
      return `${alarm.getFirstProperty('trigger')?.toICALString()}`
    }),
  )
  const atTime = 'TRIGGER;VALUE=DATE-TIME:20260601T060000Z'
  const ofDay = ['TRIGGER;RELATED=END:PT540M', 'TRIGGER;RELATED=END:-PT30M', atTime]
  expect(triggers).toEqual([
    ['TRIGGER;RELATED=END:PT0M', 'TRIGGER;RELATED=END:-PT570M', atTime],
    ofDay,
    ofDay,
    [atTime],
  ])

  const { call } = await (await service()).someone()
  const { body } = await call('POST', '/api/tasks/import', text, {
    'content-type': 'text/calendar',
  })
  expect([body.imported, body.dropped]).toEqual([4, []])
  const { tasks } = (await call('GET', '/api/tasks?sort=created_at')).body
  expect(tasks.map((task: { reminders: unknown }) => task.reminders)).toEqual([
    reminders,
    reminders,
    reminders,
    reminders.slice(2),
  ])
})

test.each([
  ['TRIGGER;RELATED=END:-PT90S', []],
  ['TRIGGER:PT1M', []],
  ['TRIGGER:-P367D', []],
  ['TRIGGER:-P1W', [{ minutes_before: 10_080 }]],
  ['TRIGGER;RELATED=START:-PT5M', [{ minutes_before: 5 }]],
  ['TRIGGER;VALUE=DATE-TIME:20260601T060000Z', [{ at: '2026-06-01T06:00:00.000Z' }]],
  ['ACTION:AUDIO', []],
])('an alarm with %s is %j', async (property, expected) => {
  const { call } = await (await service()).someone()
  const alarm = `BEGIN:VALARM\n${property}\nEND:VALARM`
  const text = `BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:x\nDUE:20260601T120000Z\n${alarm}\nEND:VTODO\nEND:VCALENDAR\n`
  const { body } = await call('POST', '/api/tasks/import', text, {
    'content-type': 'text/calendar',
  })
  const dropped = expected.length === 0 ? [{ member: 'VALARM', count: 1 }] : []
  expect(body).toMatchObject({ imported: 1, dropped })
  expect((await call('GET', `/api/tasks/${body.ids[0]}`)).body.reminders).toEqual(expected)
})
