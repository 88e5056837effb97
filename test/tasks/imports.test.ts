import { describe, expect, test } from 'bun:test'
import type { ImportedTask } from '../../src/tasks/transfer/schema.ts'
import { service } from '../support/service.ts'

const folder = `${import.meta.dir}/imports`
const types = { csv: 'text/csv', json: 'application/json', ics: 'text/calendar' }

const ada = async () => (await service({ RATE_LIMIT: '1000' })).someone()
type Ada = Awaited<ReturnType<typeof ada>>

const send = async ({ call }: Ada, file: string, query = '', headers = {}) => {
  const text = await Bun.file(`${folder}/${file}`).text()
  const extension = file.split('.').at(-1) as keyof typeof types
  const body = extension === 'json' ? JSON.parse(text) : text
  return call('POST', `/api/tasks/import${query}`, body, {
    'content-type': types[extension],
    ...headers,
  })
}

/** The members that differ from the defaults, with the name of the list. */
const imported = async ({ call }: Ada, ids: string[]) => {
  const { lists } = (await call('GET', '/api/lists')).body
  const names = new Map(lists.map(({ id, name }: { id: string; name: string }) => [id, name]))
  const found = []
  for (const id of ids) {
    const { body } = await call('GET', `/api/tasks/${id}`)
    const { title, description, priority, due_at, due_on, tags, completed, recurrence } = body
    const all = {
      title,
      description,
      priority: priority === 'normal' ? null : priority,
      due: due_on ?? due_at,
      tags: tags.length > 0 ? tags : null,
      completed_at: completed ? body.completed_at : null,
      reminders: body.reminders.length > 0 ? body.reminders : null,
      recurrence: recurrence && [recurrence.rrule, recurrence.time_zone, recurrence.from].join(' '),
      list: names.get(body.list_id) ?? null,
    }
    found.push(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null)))
  }
  return found
}

type Case = { file: string; query: string; tasks: object[]; dropped: [string, number][] }
const cases: Case[] = [
  {
    file: 'todoist.csv',
    query: 'from=todoist',
    tasks: [
      {
        title: 'Buy milk',
        description: 'Two litres',
        priority: 'urgent',
        due: '2026-12-24',
        tags: ['home', 'shop'],
      },
      { title: 'Call Grace', priority: 'high', due: '2026-12-24T17:00:00.000Z' },
      { title: 'Write to me@example.com' },
      { title: 'Read' },
    ],
    dropped: [
      ['date', 1],
      ['deadline', 1],
      ['duration', 1],
      ['duration_unit', 1],
      ['indent', 1],
      ['note', 1],
      ['responsible', 1],
      ['section', 1],
    ],
  },
  {
    file: 'todoist.json',
    query: 'from=todoist',
    tasks: [
      { title: 'Buy milk', priority: 'urgent', tags: ['home'] },
      {
        title: 'Water the plants',
        description: 'All',
        due: '2026-12-24',
        completed_at: '2026-11-21T08:30:00.000Z',
        list: 'Garden',
      },
      {
        title: 'Meet',
        priority: 'high',
        due: '2026-12-24T17:00:00.000Z',
        reminders: [{ minutes_before: 30 }, { at: '2026-12-24T08:00:00.000Z' }],
        list: 'Garden',
      },
    ],
    dropped: [
      ['due recurrence', 1],
      ['reminders', 1],
      ['section_id', 1],
    ],
  },
  {
    file: 'google.json',
    query: 'from=google',
    tasks: [
      { title: 'Buy milk', description: 'Two litres', due: '2026-12-24', list: 'My Tasks' },
      { title: 'Pay the rent', completed_at: '2026-11-21T08:30:00.000Z', list: 'My Tasks' },
      { title: 'Water', list: 'Garden' },
    ],
    dropped: [
      ['deleted', 1],
      ['hidden', 1],
      ['links', 1],
      ['parent', 1],
    ],
  },
  {
    file: 'microsoft.json',
    query: 'from=microsoft',
    tasks: [
      {
        title: 'Buy milk',
        description: 'Two litres',
        priority: 'high',
        due: '2026-12-24',
        tags: ['Red category'],
        list: 'Home',
      },
      { title: 'Pay the rent', completed_at: '2026-11-21T00:00:00.000Z', list: 'Home' },
      {
        title: 'Team',
        priority: 'low',
        due: '2026-12-21T08:30:00.000Z',
        reminders: [{ at: '2026-12-21T08:00:00.000Z' }],
        recurrence: 'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;WKST=SU Europe/Berlin due',
        list: 'Home',
      },
      {
        title: 'Report',
        due: '2026-12-25',
        recurrence: 'FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1;UNTIL=20271231 UTC due',
        list: 'Home',
      },
    ],
    dropped: [
      ['checklistItems', 1],
      ['status inProgress', 1],
    ],
  },
  {
    file: 'outlook.csv',
    query: 'from=microsoft',
    tasks: [
      {
        title: 'Buy milk',
        description: 'Two litres',
        priority: 'high',
        due: '2026-12-24',
        tags: ['home', 'shop'],
        reminders: [{ minutes_before: 990 }],
      },
      { title: 'Pay the rent', completed_at: '2026-11-21T00:00:00.000Z' },
    ],
    dropped: [
      ['companies', 1],
      ['reminder date', 1],
      ['start date', 1],
    ],
  },
  {
    file: 'taskwarrior.json',
    query: 'from=taskwarrior',
    tasks: [
      {
        title: 'Buy milk',
        description: 'Two litres\nSkimmed',
        priority: 'high',
        due: '2026-12-24T18:00:00.000Z',
        tags: ['shop'],
        list: 'Home',
      },
      { title: 'Pay the rent', priority: 'low', completed_at: '2026-11-21T08:30:00.000Z' },
      { title: 'Water', due: '2026-12-24T09:00:00.000Z', recurrence: 'FREQ=WEEKLY UTC due' },
      { title: 'Later', due: '2027-01-02T00:00:00.000Z' },
    ],
    dropped: [
      ['depends', 1],
      ['estimate', 1],
      ['recur', 1],
      ['status deleted', 1],
      ['status recurring', 1],
      ['status waiting', 1],
      ['wait', 1],
    ],
  },
  {
    file: 'vikunja.json',
    query: 'from=vikunja',
    tasks: [
      {
        title: 'Buy milk',
        description: 'Two litres & more\nskimmed',
        priority: 'urgent',
        due: '2026-12-24T18:00:00.000Z',
        tags: ['shop'],
        reminders: [{ minutes_before: 30 }, { at: '2026-12-20T09:00:00.000Z' }],
        list: 'Home',
      },
      { title: 'Pay the rent', completed_at: '2026-11-21T08:30:00.000Z', list: 'Home' },
      {
        title: 'Water',
        priority: 'low',
        due: '2026-12-24T09:00:00.000Z',
        recurrence: 'FREQ=DAILY;INTERVAL=7 UTC completion',
        list: 'Home',
      },
      {
        title: 'Rent',
        priority: 'high',
        due: '2026-12-24T09:00:00.000Z',
        recurrence: 'FREQ=MONTHLY UTC due',
        list: 'Home',
      },
      { title: 'Pill', due: '2026-12-24T09:00:00.000Z', list: 'Home' },
    ],
    dropped: [
      ['assignees', 1],
      ['description format', 1],
      ['is_favorite', 1],
      ['percent_done', 1],
      ['repeat_after', 1],
    ],
  },
  {
    file: 'calendar.ics',
    query: '',
    tasks: [
      {
        title: 'Buy milk, eggs; and bread',
        description: 'Two litres\nof it',
        priority: 'urgent',
        due: '2026-12-24',
        tags: ['home', 'shop', 'weekly'],
        reminders: [{ minutes_before: 1440 }, { at: '2026-12-20T08:00:00.000Z' }],
      },
      { title: 'Meet', due: '2026-06-01T07:00:00.000Z' },
      { title: 'In the zone of the file', priority: 'low', due: '2026-06-01T07:00:00.000Z' },
      {
        title: 'Weekly',
        priority: 'high',
        due: '2026-06-01T07:00:00.000Z',
        recurrence: 'FREQ=WEEKLY;BYDAY=MO Europe/Berlin due',
      },
      {
        title: 'Done',
        due: '2026-11-21T08:30:00.000Z',
        completed_at: '2026-11-21T08:30:00.000Z',
      },
      { title: 'Takes an hour', due: '2026-06-01T10:00:00.000Z' },
    ],
    dropped: [
      ['DTSTART', 2],
      ['LOCATION', 1],
      ['PERCENT-COMPLETE', 1],
      ['RRULE', 1],
      ['STATUS:IN-PROCESS', 1],
      ['VALARM', 1],
      ['VEVENT', 1],
    ],
  },
]

describe('the tasks of another program', () => {
  test.each(cases)(
    'in $file are imported, and what is not kept is reported',
    async ({ file, query, tasks, dropped }) => {
      const user = await ada()
      const reported = dropped.map(([member, count]) => ({ member, count }))
      const dry = await send(user, file, `?${query}&dry_run=true`.replace('?&', '?'))
      expect([dry.status, dry.body]).toEqual([200, { valid: tasks.length, dropped: reported }])
      expect((await user.call('GET', '/api/tasks')).body.tasks).toEqual([])

      const key = { 'idempotency-key': 'once' }
      const { status, body } = await send(user, file, query && `?${query}`, key)
      expect([status, body.imported, body.dropped]).toEqual([200, tasks.length, reported])
      expect(await imported(user, body.ids)).toEqual(tasks)
      expect((await send(user, file, query && `?${query}`, key)).body).toEqual(body)
    },
  )

  test.each([
    [
      'todoist',
      { tasks: [] },
      '',
      'must be a project of Todoist as CSV, or tasks of its API as JSON',
    ],
    ['google', [], '', 'must be the Tasks.json of Google Takeout'],
    ['microsoft', 7, '', 'must be tasks of Microsoft Graph as JSON, or tasks of Outlook as CSV'],
    ['taskwarrior', { tasks: [] }, '', 'must be the output of task export'],
    ['vikunja', { tasks: [] }, '', 'must be the data.json of a Vikunja export'],
    ['taskwarrior', [7], '/0', 'must be an object'],
    ['vikunja', [{ tasks: [{ title: 7 }] }], '/0/tasks/0', 'title must be a string'],
    [
      'google',
      { items: [{ items: [{ title: 'x', due: 'soon' }] }] },
      '/items/0/items/0',
      'due_on must be a day in the years 0001 to 9999, such as 2026-12-24, or null',
    ],
  ])('%s: %j is 422', async (from, sent, pointer, detail) => {
    const user = await ada()
    const { status, body } = await user.call(
      'POST',
      `/api/tasks/import?from=${from}`,
      sent as object,
    )
    expect([status, body.errors?.[0]?.pointer]).toEqual([422, pointer])
    expect(body.errors[0].detail).toStartWith(detail.replace(/, or null$/, ''))
    expect((await user.call('GET', '/api/tasks')).body.tasks).toEqual([])
  })

  test('is CSV or JSON, and the program is known', async () => {
    const user = await ada()
    const ndjson = { 'content-type': 'application/x-ndjson' }
    const wrongType = await user.call('POST', '/api/tasks/import?from=google', '{}', ndjson)
    const unknown = await user.call('POST', '/api/tasks/import?from=trello', [])
    expect([wrongType.status, wrongType.body.errors[0].pointer]).toEqual([422, '/content-type'])
    expect([unknown.status, unknown.body.errors[0].pointer]).toEqual([422, '/from'])
  })

  test.each([
    ['no calendar', '', 'is not iCalendar: it must start with BEGIN:VCALENDAR'],
    ['BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VCALENDAR', '/line/3', 'ends another component'],
    ['BEGIN:VCALENDAR\nBEGIN:VTODO\n', '', 'is incomplete: END:VTODO is missing'],
    [
      'BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:1\nEND:VTODO\nEND:VCALENDAR',
      '/line/2',
      'title is required',
    ],
    [
      'BEGIN:VCALENDAR\nBEGIN:VTODO\nnothing\nEND:VTODO\nEND:VCALENDAR',
      '/line/2',
      'is not iCalendar',
    ],
  ])('calendar %j is 422', async (text, pointer, detail) => {
    const user = await ada()
    const { status, body } = await user.call('POST', '/api/tasks/import', text, {
      'content-type': 'text/calendar; charset=utf-8',
    })
    expect([status, body.errors]).toEqual([422, [{ in: 'body', pointer, detail }]])
  })
})

const alarmed = (alarm: string) =>
  `BEGIN:VTODO\nSUMMARY:a\nDUE:20260601T120000Z\nBEGIN:VALARM\n${alarm}\nEND:VALARM\nEND:VTODO`

// As in the sample files of other libraries.
test.each([
  [
    'empty lines before',
    '\n\nBEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\nEND:VTODO\nEND:VCALENDAR\n',
    [],
  ],
  [
    'tasks beside and between calendars',
    'BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\nEND:VTODO\nBEGIN:VCALENDAR\nEND:VCALENDAR',
    [],
  ],
  [
    'an alarm that cannot be read',
    `BEGIN:VCALENDAR\n${alarmed('TRIGGER:soon')}\nEND:VCALENDAR`,
    [{ member: 'VALARM', count: 1 }],
  ],
  [
    'the time of an alarm without its type',
    `BEGIN:VCALENDAR\n${alarmed('TRIGGER:20260601T060000')}\nEND:VCALENDAR`,
    [],
  ],
])('a calendar with %s is read', async (_, text, dropped) => {
  const user = await ada()
  const { status, body } = await user.call('POST', '/api/tasks/import', text, {
    'content-type': 'text/calendar',
  })
  expect([status, body.imported, body.dropped]).toEqual([200, 1, dropped])
  const { body: task } = await user.call('GET', `/api/tasks/${body.ids[0]}`)
  expect(task.title).toBe('a')
  const hasAlarm = text.includes('T060000')
  expect(task.reminders).toEqual(hasAlarm ? [{ at: '2026-06-01T06:00:00.000Z' }] : [])
})

test('what was exported as iCalendar is imported again', async () => {
  const user = await ada()
  const tasks: Partial<ImportedTask>[] = [
    {
      title: 'a',
      description: 'x\ny; z, \\',
      priority: 'urgent',
      due_on: '2026-12-24',
      tags: ['p', 'q'],
    },
    { title: 'b', priority: 'low', due_at: '2026-12-24T18:00:00.000Z' },
    {
      title: 'c',
      priority: 'high',
      due_at: '2026-12-24T18:00:00.000Z',
      recurrence: { rrule: 'FREQ=WEEKLY;BYDAY=TH', time_zone: 'Europe/Berlin', from: 'due' },
    },
    { title: 'd', completed: true, completed_at: '2026-11-21T08:30:00.000Z' },
    { title: 'e', due_on: '2026-12-24', recurrence: { rrule: 'FREQ=MONTHLY;BYMONTHDAY=-1' } },
  ]
  const { ids } = (await user.call('POST', '/api/tasks/import', { tasks })).body
  const { text } = await user.call('GET', '/api/tasks/export?format=ics')
  const other = await ada()
  const again = await other.call('POST', '/api/tasks/import', text, {
    'content-type': 'text/calendar',
  })
  expect(again.body.dropped).toEqual([])
  expect(await imported(other, again.body.ids)).toEqual(await imported(user, ids))
})

test('a calendar with too many tasks is refused before its tasks are parsed', async () => {
  const here = await service({ IMPORT_ROWS: '3' })
  const user = await here.someone()
  const todo = 'BEGIN:VTODO\r\nSUMMARY:x\r\nEND:VTODO\r\n'
  const calendar = (count: number) => `BEGIN:VCALENDAR\r\n${todo.repeat(count)}END:VCALENDAR\r\n`
  const type = { 'content-type': 'text/calendar' }
  expect((await user.call('POST', '/api/tasks/import', calendar(4), type)).status).toBe(413)
  expect((await user.call('POST', '/api/tasks/import', calendar(3), type)).status).toBe(200)
  const items = Array.from({ length: 4 }, () => ({ description: 'x' }))
  expect((await user.call('POST', '/api/tasks/import?from=taskwarrior', items)).status).toBe(413)
})

test('an ISO 8601 duration of Taskwarrior is a rule, a reminder of Outlook that is off is none, and Graph may have no pattern', async () => {
  const user = await ada()
  const due = '20261224T090000Z'
  const title = 'x'
  const csv = { 'content-type': 'text/csv' }
  const outlook = [
    '"Subject","Due Date","Reminder On/Off","Reminder Date","Reminder Time"',
    '"x","12/24/2026","False","12/23/2026","4:30:00 PM"',
  ].join('\r\n')
  const due_ = { dateTime: '2026-12-24T00:00:00.0000000', timeZone: 'UTC' }
  const graph = { value: [{ title, dueDateTime: due_, recurrence: {} }] }
  const sent = [
    await user.call('POST', '/api/tasks/import?from=taskwarrior', [
      { description: title, due, recur: 'P2W' },
    ]),
    await user.call('POST', '/api/tasks/import?from=microsoft', outlook, csv),
    await user.call('POST', '/api/tasks/import?from=microsoft', graph),
  ]

  const found = []
  for (const { status, body } of sent) {
    expect(status).toBe(200)
    const task = (await user.call('GET', `/api/tasks/${body.ids[0]}`)).body
    found.push([task.recurrence?.rrule, task.reminders, body.dropped])
  }
  expect(found).toEqual([
    ['FREQ=WEEKLY;INTERVAL=2', [], []],
    [undefined, [], []],
    [undefined, [], [{ member: 'recurrence', count: 1 }]],
  ])
})

test('a rule that a task cannot have is reported, and does not refuse the file', async () => {
  const user = await ada()
  const due_date = '2026-12-24T09:00:00Z'
  const due = '20261224T090000Z'
  const year = { dateTime: '2026-12-24T00:00:00.0000000', timeZone: 'UTC' }
  const pattern = { type: 'daily', interval: 1 }
  const range = { type: 'numbered', numberOfOccurrences: 5000 }
  for (const [from, member, file] of [
    [
      'vikunja',
      'repeat_after',
      [{ tasks: [{ title: 'x', due_date, repeat_after: 86_400 * 2000 }] }],
    ],
    ['vikunja', 'repeat_after', [{ tasks: [{ title: 'x', repeat_mode: 1 }] }]],
    ['taskwarrior', 'recur', [{ description: 'x', due, recur: '2000days' }]],
    [
      'microsoft',
      'recurrence',
      { value: [{ title: 'x', dueDateTime: year, recurrence: { pattern, range } }] },
    ],
  ] as const) {
    const { status, body } = await user.call('POST', `/api/tasks/import?from=${from}`, file)
    expect([from, status, body.dropped]).toEqual([from, 200, [{ member, count: 1 }]])
  }
})

test.each([
  ['vikunja', [{ tasks: [{ title: 'x', description: '<a'.repeat(2_000_000) }] }]],
  ['todoist', [{ content: ' @a'.repeat(2_000_000) }]],
  [
    'microsoft',
    {
      value: [
        { title: 'x', importance: 'constructor', recurrence: { pattern: { type: '__proto__' } } },
      ],
    },
  ],
])('hostile text of %s takes no long time', async (from, sent) => {
  const user = await ada()
  const { status } = await user.call('POST', `/api/tasks/import?from=${from}`, sent)
  expect(status).toBe(from === 'microsoft' ? 200 : 422)
})

const calendarOf = (...lines: string[]) =>
  ['BEGIN:VCALENDAR', 'BEGIN:VTODO', ...lines, 'END:VTODO', 'END:VCALENDAR', ''].join('\r\n')

test.each([
  // ical.js takes two minutes for these parameters.
  ['parameters', calendarOf(`SUMMARY${';X=y'.repeat(2_000_000)}:x`), 422],
  ['folded lines', calendarOf(`SUMMARY:${'x\r\n y'.repeat(1_000_000)}`), 422],
  ['categories', calendarOf('SUMMARY:x', `CATEGORIES:${'a,'.repeat(2_000_000)}`), 422],
  ['a date without a time', calendarOf('SUMMARY:x', 'DUE:20261224'), 200],
  ['an impossible date', calendarOf('SUMMARY:x', 'DUE:20260230T99'), 422],
])('a calendar with %s takes no long time', async (_what, text, status) => {
  const user = await ada()
  const type = { 'content-type': 'text/calendar' }
  const answer = await user.call('POST', '/api/tasks/import', text, type)
  expect([answer.status, answer.body.errors?.[0].pointer]).toEqual([
    status,
    status === 200 ? undefined : '/line/2',
  ])
  if (status === 200)
    expect((await user.call('GET', '/api/tasks')).body.tasks[0].due_on).toBe('2026-12-24')
})

test('a file of many impossible rules does not keep the service from other requests', async () => {
  const user = await ada()
  const tasks = Array.from({ length: 5000 }, (_, at) => ({
    title: `${at}`,
    due_on: '2026-06-01',
    recurrence: { rrule: `FREQ=WEEKLY;INTERVAL=${(at % 900) + 1};BYDAY=MO;BYSETPOS=2` },
  }))
  const importing = user.call('POST', '/api/tasks/import', { tasks })
  const meanwhile = await user.call('GET', '/api/tasks')
  const { status, body } = await importing
  expect([meanwhile.status, status, body.errors.length]).toEqual([200, 422, 100])
})
