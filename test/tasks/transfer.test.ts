import { afterEach, describe, expect, test } from 'bun:test'
import ICAL from 'ical.js'
import { at, realTime, rowsOf, type Service, type Someone, service } from '../support/service.ts'
import { type Draft, importAll, type Task, walk } from '../support/walk-pages.ts'

afterEach(realTime)

const exporting = '/api/tasks/export'
const importing = '/api/tasks/import'
const types = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  ics: 'text/calendar',
} as const

const someone = async (env: Record<string, string> = {}) => {
  const here = await service(env)
  return { here, ada: await here.someone() }
}
const listOf = async (person: Pick<Someone, 'call'>) =>
  (await walk(person, '/api/tasks?limit=200')).flat().sort((a, b) => (a.id < b.id ? -1 : 1))

/** Sends text as it is, as CSV or NDJSON, and an object as JSON. */
const send = (
  { call }: Pick<Someone, 'call'>,
  body: unknown,
  type = types.ndjson as string,
  query = '',
) => call('POST', `${importing}${query}`, body, { 'content-type': type })

const hostile = [
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '\tx',
  '\rx',
  '\nx',
  "'",
  "''",
  "'=1",
  "''=1",
  "'quoted'",
  '"',
  '""',
  '"=1"',
  'a,b;c',
  'a\r\nb',
  'a\nb',
  'a\rb',
  ' leading',
  'trailing ',
  '\u0001\u0002\u0007\u000b\u001b\u001f\u007f',
  '\u0085\u2028\u2029\ufeff',
  // PGlite removes a byte order mark at the start of a text.
  ...(process.env.TEST_DATABASE_URL ? ['\ufeffx'] : []),
  'é e\u0301 ß',
  '😀👩‍👩‍👧🏽',
  'null',
  'true',
  '{}',
  '[]',
  '\\',
  '\\n',
  '\\"',
  'x'.repeat(500),
  '😀'.repeat(500),
  '＝1',
  '#',
  '%',
  '1e5',
  '007',
]
const hostileTasks = hostile.map(
  (title, n): Draft => ({
    title: title.trim() === '' ? `${title}.` : title,
    description: n % 3 ? [...hostile].reverse()[n] || '' : n % 2 ? null : '',
    priority: (['low', 'normal', 'high', 'urgent'] as const)[n % 4] ?? 'low',
    due_at: n % 2 ? null : '2026-12-24T18:00:00.123Z',
    due_on: n % 4 === 1 ? '2026-12-24' : null,
    tags:
      n % 5
        ? []
        : Array.from({ length: 20 }, (_, k) => `${k},"${[...title].slice(0, 40).join('')}`),
    list_id: null,
    recurrence:
      n % 2
        ? null
        : { rrule: 'FREQ=MONTHLY;BYDAY=MO,-1FR', time_zone: 'Europe/Berlin', from: 'completion' },
    reminders: n % 3 ? [] : [{ at: '2026-12-24T08:00:00.000Z' }, { minutes_before: n }],
    completed: n % 3 === 0,
    completed_at: n % 3 === 0 ? '2026-03-02T00:00:00.001Z' : null,
    created_at: '2026-03-01T23:59:59.999Z',
  }),
)

/** The members that an import keeps. */
const carried = ({
  id: _id,
  user_id: _user,
  version: _version,
  updated_at: _at,
  series_id: _series,
  ...others
}: Task) => {
  const { position: _position, ...rest } = others
  return rest
}

describe('an export', () => {
  test.each(Object.entries(types))(
    'as %s has its type and a name for the file',
    async (format, type) => {
      const { ada } = await someone()
      await ada.call('POST', '/api/tasks', { title: 'x' })

      const byQuery = await ada.call('GET', `${exporting}?format=${format}`)
      const byAccept = await ada.call('GET', exporting, undefined, { accept: type })

      expect(byQuery.status).toBe(200)
      expect(byQuery.headers.get('content-type')).toBe(`${type}; charset=utf-8`)
      expect(byQuery.headers.get('content-disposition')).toBe(
        `attachment; filename="tasks.${format}"`,
      )
      expect(byQuery.headers.get('cache-control')).toBe('private, no-cache')
      expect(byQuery.headers.get('x-request-id')).toBeTruthy()
      expect(byQuery.headers.get('ratelimit-limit')).toBe('100000')
      expect([byAccept.headers.get('content-type'), byAccept.text]).toEqual([
        `${type}; charset=utf-8`,
        byQuery.text,
      ])
      const head = await ada.call('HEAD', `${exporting}?format=${format}`)
      expect([head.status, head.text]).toEqual([200, ''])
    },
  )

  test.each([
    [undefined, 'json'],
    ['*/*', 'json'],
    ['text/*', 'csv'],
    ['text/html, */*;q=0.1', 'json'],
    ['application/json;q=0.5, text/csv', 'csv'],
    ['text/csv;q=0, text/calendar;q=0.1', 'ics'],
    ['TEXT/CSV; charset=utf-8', 'csv'],
    ['text/calendar;charset="utf-8";q=1, */*;q=0.5', 'ics'],
    ['*/*, application/json;q=0', 'ndjson'],
    ['text/*, text/csv;q=0.1', 'ics'],
    ['image/png', 'json'],
    ['application/x-ndjson, application/json', 'ndjson'],
  ] as const)('for Accept %p is %s', async (accept, format) => {
    const { ada } = await someone()
    const { headers } = await ada.call('GET', exporting, undefined, accept ? { accept } : {})
    expect(headers.get('content-type')).toBe(`${types[format]}; charset=utf-8`)
  })

  test('uses ?format before Accept, and is 422 for an unknown format', async () => {
    const { ada } = await someone()
    const { headers } = await ada.call('GET', `${exporting}?format=csv`, undefined, {
      accept: types.json,
    })
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8')
    for (const query of ['format=xml', 'format=CSV', 'format=', 'limit=5', 'format=csv&format=csv'])
      expect((await ada.call('GET', `${exporting}?${query}`)).status).toBe(422)
  })

  test('without tasks is valid in each format', async () => {
    const { ada } = await someone()
    const textOf = async (format: string) =>
      (await ada.call('GET', `${exporting}?format=${format}`)).text
    expect(JSON.parse(await textOf('json'))).toEqual({ lists: [], tasks: [] })
    expect(await textOf('ndjson')).toBe('')
    expect((await textOf('csv')).split('\r\n')).toEqual([expect.stringContaining('title'), ''])
    expect(new ICAL.Component(ICAL.parse(await textOf('ics'))).getAllSubcomponents()).toEqual([])
  })

  test('continues after each page, and ends', async () => {
    const { here, ada } = await someone()
    await importAll(
      ada,
      Array.from({ length: 501 }, (_, n) => ({ title: `${n}` })),
    )
    const request = new Request(`http://localhost${exporting}?format=ndjson`, {
      headers: { authorization: `Bearer ${ada.token}` },
    })

    const { body } = await here.app.fetch(request)
    let text = ''
    for await (const chunk of body ?? []) {
      text += Buffer.from(chunk)
      if (text.split('\n').length > 502) break
    }

    expect(text.match(/\n/g)).toHaveLength(501)
  })

  test.each([499, 500, 501, 1000, 1203])(
    'of %d tasks has each once, live ones only',
    async (count) => {
      const { here, ada } = await someone()
      const bob = await here.someone()
      await bob.call('POST', '/api/tasks', { title: 'of Bob' })
      await importAll(
        ada,
        Array.from({ length: count + 1 }, (_, n) => ({ title: `${n}` })),
      )
      const [gone] = (await ada.call('GET', '/api/tasks?sort=title&limit=1')).body.tasks
      await ada.call('DELETE', `/api/tasks/${gone.id}`)
      const expected = await listOf(ada)
      const textOf = async (format: string) =>
        (await ada.call('GET', `${exporting}?format=${format}`)).text

      expect(JSON.parse(await textOf('json')).tasks).toEqual(expected)
      const lines = (await textOf('ndjson')).trimEnd().split('\n')
      expect(lines.map((line) => JSON.parse(line))).toEqual(expected)
      expect((await textOf('csv')).split('\r\n')).toHaveLength(count + 2)
      expect((await textOf('ics')).match(/BEGIN:VTODO/g)).toHaveLength(count)
    },
  )

  test('is aborted if the session ends', async () => {
    const { here, ada } = await someone()
    await importAll(
      ada,
      Array.from({ length: 2000 }, (_, n) => ({ title: `${n}` })),
    )
    const request = new Request(`http://localhost${exporting}`, {
      headers: { authorization: `Bearer ${ada.token}` },
    })
    const response = await here.app.fetch(request)
    const reader = response.body?.getReader()
    await reader?.read()
    await ada.call('POST', '/api/auth/logout')

    const rest = async () => {
      while (!(await reader?.read())?.done);
    }
    expect(response.status).toBe(200)
    await expect(rest()).rejects.toThrow()
  })

  test('for an ended session is 401, not an aborted file', async () => {
    const { ada } = await someone()
    await ada.call('POST', '/api/auth/logout')
    expect((await ada.call('GET', exporting)).status).toBe(401)
  })
})

describe('what was exported is imported without loss', () => {
  test.each(['json', 'ndjson', 'csv'] as const)('as %s, whatever the text', async (format) => {
    const { here, ada } = await someone()
    await importAll(ada, hostileTasks)
    const bob = await here.someone()
    const { text } = await ada.call('GET', `${exporting}?format=${format}`)

    const { status, body } = await send(bob, text, types[format])

    expect([status, body.imported]).toEqual([200, hostile.length])
    const [theirs, mine] = [await listOf(bob), await listOf(ada)]
    expect(theirs.map(carried)).toEqual(mine.map(carried))
    expect(mine.map(carried)).toEqual(hostileTasks as never)
    expect(theirs.every(({ user_id, version }) => user_id === bob.id && version === 1)).toBe(true)
    const ids = new Set([...theirs, ...mine].map(({ id }) => id))
    expect(ids.size).toBe(2 * hostile.length)
    const again = (await bob.call('GET', `${exporting}?format=${format}`)).text
    await send(ada, again, types[format])
    expect((await listOf(ada)).slice(hostile.length).map(carried)).toEqual(mine.map(carried))
  })
})

describe('CSV', () => {
  test('starts no cell with a formula for spreadsheets', async () => {
    const { ada } = await someone()
    await importAll(ada, hostileTasks)
    const { text } = await ada.call('GET', `${exporting}?format=csv`)
    // An independent parser, so that the test does not depend on the parser of the service.
    const cells: string[] = []
    let at = 0
    while (at < text.length) {
      const quoted = /"((?:[^"]|"")*)"(?:,|\r\n)/y
      const bare = /([^",\r\n]*)(?:,|\r\n)/y
      quoted.lastIndex = bare.lastIndex = at
      const found = quoted.exec(text) ?? bare.exec(text)
      if (!found) throw new Error(`no cell at ${at}`)
      cells.push((found[1] ?? '').replaceAll('""', '"'))
      at += found[0].length
    }

    const columns = text.slice(0, text.indexOf('\r\n')).split(',').length
    expect(cells).toHaveLength((hostile.length + 1) * columns)
    for (const cell of cells) expect(cell).not.toMatch(/^[=+\-@\t\r\n＝＋－＠]/)
    expect(cells).toContain("'=1+1")
    expect(cells).toContain("''=1")
    expect(cells).toContain("'quoted'")
  })

  test('can have columns in any order, fewer columns, and a byte order mark', async () => {
    const { ada } = await someone()
    const text = '\ufefftags,title,completed\n"[""a"",""b,c""]",One,true\n,Two,\n'
    expect((await send(ada, text, types.csv)).body.imported).toBe(2)
    expect(
      (await listOf(ada)).map(({ title, tags, completed }) => [title, tags, completed]),
    ).toEqual([
      ['One', ['a', 'b,c'], true],
      ['Two', [], false],
    ])
  })

  test('distinguishes null from empty text, and an apostrophe of the text from an escape', async () => {
    const { ada } = await someone()
    const text = `title,description\r\na,\r\nb,""\r\n"c","'x"\r\nd,'=x\r\n`
    await send(ada, text, types.csv)
    expect((await listOf(ada)).map(({ description }) => description)).toEqual([
      null,
      '',
      "'x",
      '=x',
    ])
  })

  test.each([
    ['semicolons', 'Title;Completed;Tags\nOne;TRUE;"[""a"",""b;c""]"\n"Two, too";FALSE;\n'],
    ['tabs', 'TITLE\tcompleted\ttags\r\nOne\ttrue\t"[""a"",""b;c""]"\r\nTwo, too\tfalse\t\r\n'],
    ['commas', ' title , COMPLETED ,Tags\nOne,True,"[""a"",""b;c""]"\n"Two, too",False,\n'],
  ])('with %s and column names in any case is imported', async (_, text) => {
    const { ada } = await someone()
    const { body } = await send(ada, text, types.csv)
    const found = await listOf(ada)
    expect(found.map(({ title, tags, completed }) => [title, tags, completed])).toEqual([
      ['One', ['a', 'b;c'], true],
      ['Two, too', [], false],
    ])
    expect(body).toEqual({ imported: 2, updated: 0, ids: found.map(({ id }) => id), dropped: [] })
  })

  test.each([
    ['little', 'utf-16'],
    ['big', undefined],
  ])('in UTF-16 with a byte order mark (%s-endian) is imported', async (order, charset) => {
    const { ada } = await someone()
    const bytes = Buffer.from('\ufefftitle;description\nCafé 😀;x\n', 'utf16le')
    if (order === 'big') bytes.swap16()
    const type = charset === undefined ? types.csv : `${types.csv}; charset=${charset}`
    expect((await send(ada, new Uint8Array(bytes), type)).body.imported).toBe(1)
    expect((await listOf(ada))[0]?.title).toBe('Café 😀')
  })

  test('with an unknown column or without a title lists the known columns', async () => {
    const { ada } = await someone()
    for (const text of ['title;owner\nx;y\n', 'owner\nx\n']) {
      const { body } = await send(ada, text, types.csv)
      expect(body.errors[0].detail).toEndWith(
        'the columns are title, description, priority, due_at, due_on, tags, list_id, recurrence, reminders, completed, completed_at, created_at, list, id, user_id, series_id, position, version, updated_at',
      )
    }
  })

  test('in UTF-16 without a byte order mark is 400', async () => {
    const { ada } = await someone()
    const bytes = new Uint8Array(Buffer.from('title\né\n', 'utf16le'))
    expect((await send(ada, bytes, types.csv)).status).toBe(400)
  })

  test('of an import replays its ids with the same Idempotency-Key', async () => {
    const { ada } = await someone()
    const text = 'title\na\nb\nc\n'
    const headers = { 'content-type': types.csv, 'idempotency-key': 'import' }
    const first = await ada.call('POST', '/api/tasks/import', text, headers)
    const again = await ada.call('POST', '/api/tasks/import', text, headers)
    expect(first.body.ids).toHaveLength(3)
    expect([again.headers.get('idempotency-replayed'), again.body]).toEqual(['true', first.body])
  })

  test.each([
    ['\n', '/line/1'],
    ['id,description\nx,y\n', '/line/1'],
    ['title,owner\nx,y\n', '/line/1'],
    ['title,constructor\n', '/line/1'],
    ['title,__proto__\nx,y\n', '/line/1'],
    ['title,title\nx,y\n', '/line/1'],
    ['title\n""\n', '/line/2'],
    ['title,completed\nx\n', '/line/2'],
    ['title,completed\nx,true\ny,yes\n', '/line/3'],
    ['title\nx\n"y\n', '/line/3'],
    ['title,priority\n"a\nb\r\nc",low\n\n"d",none\n', '/line/6'],
    ['title,priority\r\n"a\r\n\r\nb",low\r\n"c\nd",none\r\ne,low\r\n', '/line/5'],
    ['title,priority\r\n"a\rb",low\r\nc,none\r\n', '/line/3'],
    ['title,tags\nx,home\n', '/line/2'],
    ['title,due_at\nx,2026-01-01\n', '/line/2'],
  ])('%j is 422 at %s', async (text, pointer) => {
    const { ada } = await someone()
    const { status, body } = await send(ada, text, types.csv)
    expect([status, body.errors?.[0]?.pointer]).toEqual([422, pointer])
    expect((await rowsOf(ada.id)).tasks).toEqual([])
  })
})

describe('iCalendar', () => {
  test('is read by a parser of RFC 5545', async () => {
    const { ada } = await someone()
    await importAll(ada, hostileTasks)
    const tasks = await listOf(ada)
    const { text } = await ada.call('GET', `${exporting}?format=ics`)

    const calendar = new ICAL.Component(ICAL.parse(text))

    expect(calendar.getFirstPropertyValue('version')).toBe('2.0')
    expect(calendar.getFirstPropertyValue('prodid')).toBeTruthy()
    const todos = calendar.getAllSubcomponents('vtodo')
    expect(todos).toHaveLength(tasks.length)
    const shown = (value: string) =>
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a calendar must not contain them
      value.replace(/\r\n|\r/g, '\n').replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')
    const toCalendarTime = (timestamp: string | null) =>
      timestamp === null ? null : `${timestamp.slice(0, 19)}Z`
    for (const [n, todo] of todos.entries()) {
      const task = tasks[n]
      if (!task) throw new Error('no such task')
      const value = (name: string) => todo.getFirstPropertyValue(name)?.toString() ?? null
      expect(value('uid')).toBe(task.id)
      expect(value('summary')).toBe(shown(task.title))
      if (task.description) expect(value('description')).toBe(shown(task.description))
      // A recurring task is due in its zone (Berlin, in winter).
      const local = task.recurrence && !task.completed && task.due_at && '2026-12-24T19:00:00'
      expect(value('due')).toBe(task.due_on ?? (local || toCalendarTime(task.due_at)))
      expect(value('created')).toBe(toCalendarTime(task.created_at))
      expect(value('completed')).toBe(toCalendarTime(task.completed_at))
      expect(value('dtstamp')).toBe(toCalendarTime(task.updated_at))
      expect(value('status')).toBe(task.completed ? 'COMPLETED' : 'NEEDS-ACTION')
      expect(value('priority')).toBe(
        { urgent: '1', high: '3', normal: '5', low: '9' }[task.priority],
      )
      // ical.js reads the comma after an escaped backslash as an escaped comma.
      if (!task.tags.some((tag) => tag.endsWith('\\')))
        expect(todo.getFirstProperty('categories')?.getValues() ?? []).toEqual(task.tags.map(shown))
    }
  })

  test('has lines of at most 75 octets, each valid UTF-8, ended by CRLF', async () => {
    const { ada } = await someone()
    await importAll(ada, hostileTasks)
    const { text } = await ada.call('GET', `${exporting}?format=ics`)
    const lines = text.split('\r\n')

    expect(lines.at(-1)).toBe('')
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    for (const line of lines) {
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75)
      expect(line.isWellFormed()).toBe(true)
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a calendar must not contain them
    expect(text).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/)
  })
})

describe('an import', () => {
  test('keeps the members of a record, and sets defaults for absent ones', async () => {
    const { ada } = await someone()
    at('2026-08-01T00:00:00.000Z')
    const fresh = await someone()
    const members = {
      title: 'a',
      description: 'd',
      completed: true,
      completed_at: '2020-01-02T04:04:05.006+01:00',
      priority: 'urgent',
      due_at: '2030-01-01T00:00:00Z',
      tags: ['t'],
      created_at: '0001-01-01T00:00:00Z',
    }
    const ignored = { id: 7, user_id: ada.id, version: 'x', updated_at: null }

    const tasks = [{ ...members, ...ignored }, { title: 'b' }, { title: 'c', completed: true }]
    const { body } = await send(fresh.ada, { tasks }, types.json)
    const stored = (await rowsOf(fresh.ada.id)).tasks
    expect(body).toEqual({ imported: 3, updated: 0, ids: stored.map(({ id }) => id), dropped: [] })

    const now = '2026-08-01T00:00:00.000Z'
    const plain = {
      id: expect.any(String),
      user_id: fresh.ada.id,
      description: null,
      completed: false,
      completed_at: null,
      priority: 'normal',
      due_at: null,
      due_on: null,
      tags: [],
      list_id: null,
      recurrence: null,
      reminders: [],
      series_id: null,
      version: 1,
      created_at: now,
      updated_at: now,
      position: expect.any(String),
    }
    const utc = {
      completed_at: '2020-01-02T03:04:05.006Z',
      due_at: '2030-01-01T00:00:00.000Z',
      created_at: '0001-01-01T00:00:00.000Z',
    }
    expect(await listOf(fresh.ada)).toEqual([
      { ...plain, ...members, ...utc },
      { ...plain, title: 'b' },
      { ...plain, title: 'c', completed: true, completed_at: now },
    ] as Task[])
  })

  test.each([
    [{}, '/tasks'],
    [[], ''],
    [null, ''],
    [{ tasks: {} }, '/tasks'],
    [{ tasks: [{ title: 'x' }], user_id: 'x' }, '/user_id'],
    [{ tasks: [{ title: 'x' }, null] }, '/tasks/1'],
    [{ tasks: [{ title: 'x' }, {}] }, '/tasks/1'],
    [{ tasks: [{ title: 'x', owner: 'y' }] }, '/tasks/0'],
    [{ tasks: [{ title: 'x', deleted_at: null }] }, '/tasks/0'],
    [{ tasks: [{ title: 'x', completed_at: '2020-01-01T00:00:00Z' }] }, '/tasks/0'],
    [
      { tasks: [{ title: 'x', completed: false, completed_at: '2020-01-01T00:00:00Z' }] },
      '/tasks/0',
    ],
    [{ tasks: [{ title: 'x', created_at: null }] }, '/tasks/0'],
    [{ tasks: [{ title: 'x', tags: null }] }, '/tasks/0'],
    [{ tasks: [{ title: 'x\u0000' }] }, '/tasks/0'],
    [{ tasks: [{ title: 'x', description: '\ud800' }] }, '/tasks/0'],
  ])('of %j is 422 at %j, and nothing is imported', async (sent, pointer) => {
    const { ada } = await someone()
    const { status, body } = await send(ada, JSON.stringify(sent), types.json)
    expect([status, body.errors?.[0]?.pointer]).toEqual([422, pointer])
    expect((await rowsOf(ada.id)).tasks).toEqual([])
  })

  test('of NDJSON has the line in its errors, counts blank lines, and accepts every line end', async () => {
    const { ada } = await someone()
    const text = '{"title":"a"}\r\n\n  \n{"title":""}\n{"title":"b"}\nx\n[]\n"y"\n{"title":"c"}'
    const { status, body } = await send(ada, text)
    expect([status, body.errors.map(({ pointer }: { pointer: string }) => pointer)]).toEqual([
      422,
      ['/line/4', '/line/6', '/line/7', '/line/8'],
    ])
    expect((await rowsOf(ada.id)).tasks).toEqual([])
  })

  test('reports at most a hundred invalid records, without their content', async () => {
    const { ada } = await someone()
    const tasks = Array.from({ length: 300 }, (_, n) => ({
      title: n % 2 ? 'ok' : '',
      Canary: 'Canary',
    }))
    const { status, body, text } = await send(ada, { tasks }, types.json)
    expect([status, body.errors.length, body.errors[0].pointer]).toEqual([422, 100, '/tasks/0'])
    expect(text.replaceAll('Canary is not a known member', '')).not.toContain('Canary')
  })

  test('with dry_run only validates, with the same errors', async () => {
    const { ada } = await someone()
    const dry = (body: unknown) => send(ada, body, types.json, '?dry_run=true')
    expect((await dry({ tasks: [{ title: 'a' }, { title: 'b' }] })).text).toBe(
      '{"valid":2,"dropped":[]}',
    )
    expect((await dry({ tasks: [{ title: 'a' }, {}] })).body.errors[0].pointer).toBe('/tasks/1')
    expect((await rowsOf(ada.id)).tasks).toEqual([])
    const real = await send(ada, { tasks: [{ title: 'a' }] }, types.json, '?dry_run=false')
    expect(real.body.imported).toBe(1)
    expect((await send(ada, { tasks: [] }, types.json, '?dry_run=1')).status).toBe(422)
    await ada.call('POST', '/api/auth/logout')
    expect((await dry({ tasks: [{ title: 'a' }] })).status).toBe(401)
    expect((await dry({ tasks: [{}] })).status).toBe(401)
  })

  test.each([
    ['text/plain', 415],
    ['text/html', 415],
    ['application/xml', 415],
    ['application/merge-patch+json', 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-data; boundary=x', 415],
    ['text/csv; charset=latin1', 415],
    ['application/x-ndjson; charset=utf-8', 200],
    ['TEXT/CSV', 200],
  ])('as %s is %d', async (type, status) => {
    const { ada } = await someone()
    const body = /csv/i.test(type) ? 'title\nx\n' : '{"title":"x"}\n'
    expect((await send(ada, body, type)).status).toBe(status)
  })

  test('is 400 if it is not JSON or not UTF-8', async () => {
    const { ada } = await someone()
    expect((await send(ada, '{"tasks":[', types.json)).status).toBe(400)
    for (const type of [types.json, types.ndjson, types.csv])
      expect((await send(ada, new Uint8Array([0x74, 0xff, 0x0a]), type)).status).toBe(400)
  })

  test('of more rows than IMPORT_ROWS is 413', async () => {
    const { ada } = await someone({ IMPORT_ROWS: '3' })
    const rows = (count: number) => Array.from({ length: count }, () => ({ title: 'x' }))
    const lines = (count: number) =>
      rows(count)
        .map((row) => JSON.stringify(row))
        .join('\n')

    expect((await send(ada, { tasks: rows(4) }, types.json)).body.code).toBe('body-too-large')
    expect((await send(ada, lines(4))).status).toBe(413)
    expect((await send(ada, `title\n${'x\n'.repeat(4)}`, types.csv)).status).toBe(413)
    expect((await rowsOf(ada.id)).tasks).toEqual([])
    expect((await send(ada, { tasks: rows(3) }, types.json)).status).toBe(200)
    expect((await send(ada, `title\n${'x\n'.repeat(3)}`, types.csv)).status).toBe(200)
  })

  test('as CSV is read up to the first row or cell that is too many', async () => {
    const { ada } = await someone({ IMPORT_ROWS: '3' })
    const broken = '"begun and never ended'

    const rows = await send(ada, `title\n${'x\n'.repeat(4)}${broken}`, types.csv)
    const cells = await send(ada, `title\n${','.repeat(200)}\n${broken}`, types.csv)

    expect([rows.status, rows.body.code]).toEqual([413, 'body-too-large'])
    const detail = 'has too many cells'
    expect([cells.status, cells.body.errors]).toEqual([422, [{ in: 'body', pointer: '', detail }]])
  })

  test('with deeply nested values is refused before it is validated', async () => {
    const { ada } = await someone()
    const tags = '['.repeat(100_000) + ']'.repeat(100_000)
    const detail = 'must not be nested deeper than 32'

    const line = await send(ada, `{"title":"x","tags":${tags}}`)
    const row = await send(ada, `title,tags\nx,${tags}\n`, types.csv)

    expect([line.status, line.body.errors]).toEqual([
      422,
      [{ in: 'body', pointer: '/line/1', detail }],
    ])
    expect([row.status, row.body.errors]).toEqual([
      422,
      [{ in: 'body', pointer: '/line/2', detail: 'tags must be an array' }],
    ])
  })

  test('of more bytes than IMPORT_LIMIT is 413, with and without Content-Length', async () => {
    const { ada } = await someone({ IMPORT_LIMIT: '100000' })
    const whole = (bytes: number) => `{"title":"x"}${' '.repeat(bytes - 13)}`
    const streamed = (text: string) =>
      new ReadableStream({
        start(controller) {
          for (let from = 0; from < text.length; from += 10_000)
            controller.enqueue(new TextEncoder().encode(text.slice(from, from + 10_000)))
          controller.close()
        },
      })
    const type = { 'content-type': types.ndjson }
    const sized = (text: string) =>
      ada.call('POST', importing, text, { ...type, 'content-length': `${text.length}` })
    const unsized = (text: string) => ada.call('POST', importing, streamed(text), type)

    expect([(await sized(whole(100_001))).status, (await unsized(whole(100_001))).status]).toEqual([
      413, 413,
    ])
    expect((await rowsOf(ada.id)).tasks).toEqual([])
    expect([(await sized(whole(100_000))).status, (await unsized(whole(100_000))).status]).toEqual([
      200, 200,
    ])
  })

  test('of 50 000 rows ends before the deadline of a statement', async () => {
    const { ada } = await someone()
    const tasks = Array.from({ length: 50_000 }, (_, n) => ({
      title: `Task number ${n}`,
      description: n % 2 ? null : 'Something to say about it',
      tags: n % 3 ? [] : ['home', 'shop'],
    }))

    const before = process.cpuUsage()
    await importAll(ada, tasks)
    const { user, system } = process.cpuUsage(before)

    const first = (await ada.call('GET', '/api/tasks/changes?limit=1')).body
    expect([first.changes[0].task.title, first.has_more]).toEqual(['Task number 0', true])
    // Six default deadlines. Processor time is the same on a busy machine.
    expect(user + system).toBeLessThan(30_000_000)
  }, 240_000)

  test('with too many tags is refused by their number, before each is validated', async () => {
    const { ada } = await someone()
    const tags = `[${Array(2_500_000).fill('1').join(',')}]`
    const { status, body } = await send(ada, `{"tasks":[{"title":"x","tags":${tags}}]}`, types.json)
    expect([status, body.errors]).toEqual([
      422,
      [{ in: 'body', pointer: '/tasks/0', detail: 'tags must have at most 20 items' }],
    ])
  }, 60_000)
})

test('memory stays constant during an export of 100 000 tasks', async () => {
  const { here, ada } = await someone()
  const tasks = Array.from({ length: 50_000 }, (_, n) => ({
    title: `${n}`,
    description: 'x'.repeat(80),
  }))
  for (const _ of [1, 2]) await importAll(ada, tasks)
  const read = async (here: Service) => {
    const headers = { authorization: `Bearer ${ada.token}` }
    const response = await here.app.fetch(new Request(`http://localhost${exporting}`, { headers }))
    let bytes = 0
    let most = 0
    let pieces = 0
    for await (const piece of response.body ?? []) {
      bytes += piece.length
      pieces += 1
      if (pieces % 20 === 0) {
        Bun.gc(true)
        most = Math.max(most, process.memoryUsage().heapUsed)
      }
    }
    return { bytes, most }
  }
  Bun.gc(true)
  const before = process.memoryUsage().heapUsed

  const { bytes, most } = await read(here)

  expect(bytes).toBeGreaterThan(35_000_000)
  expect(most - before).toBeLessThan(20_000_000)
}, 240_000)

test('an export without tasks can be imported', async () => {
  const { ada } = await someone()

  const imported = async (format: 'json' | 'ndjson' | 'csv') => {
    const { text } = await ada.call('GET', `/api/tasks/export?format=${format}`)
    return (await send(ada, text, types[format])).body
  }

  expect(await imported('json')).toEqual({ imported: 0, updated: 0, ids: [], dropped: [] })
  expect(await imported('ndjson')).toEqual({ imported: 0, updated: 0, ids: [], dropped: [] })
  expect(await imported('csv')).toEqual({ imported: 0, updated: 0, ids: [], dropped: [] })
})
