import { describe, expect, test } from 'bun:test'
import { protectedRoutes } from '../support/requests.ts'
import { type Answer, filled, rowsOf, type Someone, service } from '../support/service.ts'

const json = { 'content-type': 'application/json' }
const codeOf = ({ status, body }: Answer) => `${status} ${body?.code ?? ''}`.trim()
const bytes = (text: string) => new TextEncoder().encode(text)

/** A user with a task; `refuses` sends a request and checks that nothing changed. */
const ada = async () => {
  const here = await service()
  const person = await here.someone()
  const { body: task } = await person.call('POST', '/api/tasks', { title: 'kept' })
  const path = `/api/tasks/${task.id}`
  const rows = async () => {
    const { users, sessions, tasks } = await rowsOf(person.id)
    return { users, sessions, tasks }
  }
  const refuses = async (code: string, send: (who: Someone) => Promise<Answer>) => {
    const before = await rows()
    const answer = await send(person)
    expect(codeOf(answer)).toBe(code)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await rows()).toEqual(before)
    return answer
  }
  return { ...here, ...person, task, path, refuses }
}

describe('server-owned members', () => {
  const ignoredByPut = ['id', 'user_id', 'version', 'created_at', 'updated_at', 'completed_at']
  const others = ['deleted_at', 'change', 'role', 'Title', 'title ', '']

  test.each([...ignoredByPut, ...others])(
    '%j is 422 by name, and the row is unchanged',
    async (member) => {
      const { path, refuses } = await ada()
      const draft = { title: 'x', [member]: 'x' }

      const post = await refuses('422 invalid-request', ({ call }) =>
        call('POST', '/api/tasks', draft),
      )
      expect(post.body.errors).toEqual([
        { in: 'body', pointer: `/${member}`, detail: 'is not a known member' },
      ])
      await refuses('422 invalid-request', ({ call }) => call('PATCH', path, draft))
      const one = { completed: true, [member]: 'x' }
      await refuses('422 invalid-request', ({ call }) => call('PATCH', `${path}/complete`, one))
      if (others.includes(member))
        await refuses('422 invalid-request', ({ call }) => call('PUT', path, draft))
    },
  )

  test.each(ignoredByPut)('%j is ignored by PUT, whatever its value', async (member) => {
    const { call, path, task } = await ada()

    for (const value of ['x', null, 1, [], { a: 1 }]) {
      const { status, body } = await call('PUT', path, { title: 'x', [member]: value })
      const { version, updated_at, title, ...same } = body
      expect([status, title, same]).toMatchObject([
        200,
        'x',
        { id: task.id, user_id: task.user_id },
      ])
      expect(same).toMatchObject({ completed_at: null, created_at: task.created_at })
    }
  })

  test('completed is not a member of a new task', async () => {
    const { refuses } = await ada()

    await refuses('422 invalid-request', ({ call }) =>
      call('POST', '/api/tasks', { title: 'x', completed: true }),
    )
  })

  test.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    'the member %s is unknown like any other, and pollutes nothing',
    async (member) => {
      const { path, refuses } = await ada()
      const text = `{"title":"x","completed":true,"${member}":{"polluted":true,"title":"y"}}`

      const answer = await refuses('422 invalid-request', ({ call }) =>
        call('PUT', path, text, json),
      )
      expect(answer.body.errors[0].pointer).toBe(`/${member}`)
      await refuses('422 invalid-request', ({ call }) => call('GET', `/api/tasks?${member}=x`))
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    },
  )
})

describe('a body', () => {
  test.each([
    ['nothing', ''],
    ['null', 'null'],
    ['an array', '[]'],
    ['an array of tasks', '[{"title":"x","completed":true}]'],
    ['a string', '"x"'],
    ['a number', '1'],
    ['true', 'true'],
    ['an empty object', '{}'],
  ])('of %s is 422 where an object is required', async (_, text) => {
    const { path, refuses } = await ada()

    await refuses('422 invalid-request', ({ call }) => call('PUT', path, text, json))
    await refuses('422 invalid-request', ({ call }) => call('POST', '/api/tasks', text, json))
    if (text !== '{}')
      await refuses('422 invalid-request', ({ call }) => call('PATCH', '/api/auth/me', text, json))
  })

  test.each([
    '{',
    '}',
    '{"title":"x",}',
    "{'title':'x'}",
    '{title:"x"}',
    '{"title":"x"} {}',
    '{"title":undefined}',
    '{"title":NaN}',
    '{"title":"\n"}',
    '{"title":"\\x"}',
    '// x\n{}',
    ' ',
    '\ufeff{"title":"x","completed":true}',
    'title=x',
    '01',
  ])('of %j does not parse and is 400', async (text) => {
    const { path, refuses } = await ada()

    await refuses('400 malformed-request', ({ call }) => call('PUT', path, text, json))
    await refuses('400 malformed-request', ({ call }) =>
      call('PATCH', `${path}/complete`, text, json),
    )
  })

  test.each([
    ['a lone byte', [0xff]],
    ['an overlong slash', [...bytes('{"title":"'), 0xc0, 0xaf, ...bytes('","completed":true}')]],
    ['a surrogate', [...bytes('{"title":"'), 0xed, 0xa0, 0x80, ...bytes('","completed":true}')]],
    ['a cut character', [...bytes('{"title":"'), 0xf0, 0x9f, ...bytes('","completed":true}')]],
    ['UTF-16', [...Buffer.from('{"title":"x","completed":true}', 'utf16le')]],
    ['UTF-16 with its mark', [0xff, 0xfe, ...Buffer.from('{"title":"x"}', 'utf16le')]],
  ])('of invalid UTF-8 (%s) is 400', async (_, sent) => {
    const { path, refuses } = await ada()

    await refuses('400 malformed-request', ({ call }) =>
      call('PUT', path, new Uint8Array(sent), json),
    )
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'text/xml',
    'application/jsonevil',
    'application/json5',
    'application/merge-patch+jsonevil',
    'application/ld+json',
    'text/json',
    'xapplication/json',
    'application/json, text/plain',
    'application',
    '*/*',
    'application/json; charset=utf-16',
    'application/json; charset=latin1',
    '',
  ])('of the media type %j is 415', async (type) => {
    const { path, refuses } = await ada()
    const text = '{"title":"x","completed":true}'

    await refuses('415 unsupported-media-type', ({ call }) =>
      call('PUT', path, bytes(text), type === '' ? {} : { 'content-type': type }),
    )
  })

  test.each(['gzip', 'br', 'deflate', 'identity, gzip', 'x'])(
    'that is encoded (%s) is 415',
    async (encoding) => {
      const { path, refuses } = await ada()
      const packed = Bun.gzipSync(bytes('{"title":"x","completed":true}'))

      await refuses('415 unsupported-media-type', ({ call }) =>
        call('PUT', path, packed, { ...json, 'content-encoding': encoding }),
      )
    },
  )

  test.each([
    'application/json',
    'APPLICATION/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
    'application/json ; x=y',
  ])('of the media type %j is accepted', async (type) => {
    const { call, path } = await ada()

    const { status } = await call('PUT', path, {}, { 'content-type': type })
    expect(status).toBe(422)
    const text = '{"title":"x","completed":true}'
    expect((await call('PUT', path, bytes(text), { 'content-type': type })).status).toBe(200)
  })

  test('over BODY_LIMIT is 413, with and without Content-Length, and is not read further', async () => {
    const { call, path, refuses } = await ada()
    const title = (length: number) =>
      bytes(`{"completed":true,"title":"${'x'.repeat(length - 29)}"}`)
    expect(title(65_537)).toHaveLength(65_537)
    let pulled = 0
    const endless = () =>
      new ReadableStream({
        pull: (controller) => {
          pulled += 1
          controller.enqueue(new Uint8Array(16_384))
        },
      })

    const lengths = [{ ...json, 'content-length': '65537' }, json]
    for (const headers of lengths)
      await refuses('413 body-too-large', () => call('PUT', path, title(65_537), headers))
    await refuses('413 body-too-large', () => call('PUT', path, endless(), json))
    expect(pulled).toBeLessThan(10)
    // One byte less is read, and the title is too long.
    await refuses('422 invalid-request', () => call('PUT', path, title(65_536), json))
  })

  test.each([{}, { 'content-length': '100' }])(
    'that breaks off (%j) is 400, and no error of ours',
    async (length) => {
      const { refuses, log } = await ada()
      const half = () =>
        new ReadableStream({
          start(controller) {
            controller.enqueue(bytes('{"title":'))
            controller.error(new DOMException('The connection was closed.', 'AbortError'))
          },
        })

      await refuses('400 malformed-request', ({ call }) =>
        call('POST', '/api/tasks', half(), { ...json, ...length }),
      )

      expect(log.filter(({ level }) => level === 'error')).toEqual([])
    },
  )

  test('with a password of 10 MB is 413, and nothing is hashed or counted as an attempt', async () => {
    const { call } = await service({ LOGIN_ATTEMPTS: '1' })
    const body = { email: 'ada@example.test', password: 'x'.repeat(10_000_000) }

    for (const _ of [1, 2]) {
      const from = performance.now()
      expect(codeOf(await call('POST', '/api/auth/login', { body }))).toBe('413 body-too-large')
      expect(codeOf(await call('POST', '/api/auth/register', { body }))).toBe('413 body-too-large')
      expect(performance.now() - from).toBeLessThan(5000)
    }
  })

  test('with duplicate keys uses the last ones', async () => {
    const { call, path } = await ada()

    const text = '{"title":"first","completed":true,"title":"last"}'
    expect((await call('PUT', path, text, json)).body.title).toBe('last')
    const wrong = '{"completed":true,"title":"first","title":""}'
    expect((await call('PUT', path, wrong, json)).status).toBe(422)
  })

  test.each([
    ['100 deep', (deep: number) => ['['.repeat(deep), ']'.repeat(deep)], 100],
    ['30 000 deep', (deep: number) => ['['.repeat(deep), ']'.repeat(deep)], 30_000],
    [
      '10 000 objects deep',
      (deep: number) => ['{"a":'.repeat(deep), `1${'}'.repeat(deep)}`],
      10_000,
    ],
  ])('%s is refused at once, with and without a token', async (_, nest, deep) => {
    const { call, refuses } = await ada()
    const [opening, closing] = nest(deep)
    const from = performance.now()

    for (const member of ['title', 'tags', 'unknown']) {
      const text = `{"title":"x","${member}":${opening}${closing}}`
      await refuses('422 invalid-request', () => call('POST', '/api/tasks', text, json))
      const login = await call('POST', '/api/auth/login', text, json)
      expect(codeOf(login)).toBe('422 invalid-request')
    }
    expect(performance.now() - from).toBeLessThan(5000)
  })

  test('may be nested 32 levels deep, and no deeper', async () => {
    const { call } = await (await service()).someone()
    const detailAt = async (deep: number) => {
      const nested = `${'['.repeat(deep - 1)}${']'.repeat(deep - 1)}`
      const { status, body } = await call('POST', '/api/tasks', `{"title":${nested}}`, json)
      return [status, body.errors[0].pointer, body.errors[0].detail]
    }

    expect(await detailAt(32)).toEqual([422, '/title', 'must be a string'])
    expect(await detailAt(33)).toEqual([422, '', 'must not be nested deeper than 32'])
  })

  test('with brackets in strings is not deeply nested', async () => {
    const { call } = await ada()

    for (const title of ['['.repeat(400), `"\\"${'{'.repeat(400)}`, `\\\\"${'[{'.repeat(200)}\\`])
      expect((await call('POST', '/api/tasks', { title })).body.title).toBe(title)
  })

  test('with unclosed brackets is 400; with a million of them it is 413', async () => {
    const { call, refuses } = await ada()

    await refuses('400 malformed-request', () =>
      call('POST', '/api/tasks', '['.repeat(60_000), json),
    )
    await refuses('413 body-too-large', () =>
      call('POST', '/api/tasks', '['.repeat(1_000_000), json),
    )
  })

  test('with thousands of unknown members is refused at once, and names 20 of them', async () => {
    const { call, path, refuses } = await ada()
    const members = Array.from({ length: 6000 }, (_, at) => `"m${at}":1`)
    const from = performance.now()

    // A route with one body schema, one with an optional body, and one without a body.
    for (const [method, to] of [
      ['POST', '/api/tasks'],
      ['PATCH', `${path}/complete`],
      ['POST', '/api/auth/refresh'],
    ] as const) {
      const answer = await refuses('422 invalid-request', () =>
        call(method, to, `{${members.join()}}`, json),
      )
      expect([to, answer.body.errors.length]).toEqual([to, 20])
    }
    await refuses('413 body-too-large', () =>
      call(
        'POST',
        '/api/tasks',
        `{${Array.from({ length: 500_000 }, (_, at) => `"${at}":1`)}}`,
        json,
      ),
    )
    expect(performance.now() - from).toBeLessThan(5000)
  })

  test('is parsed by its media type only, and no header overrides the method', async () => {
    const { call, path } = await ada()
    const headers = {
      'x-http-method-override': 'DELETE',
      'x-http-method': 'DELETE',
      'x-method-override': 'DELETE',
    }

    expect((await call('GET', path, undefined, headers)).status).toBe(200)
    expect((await call('POST', '/api/tasks', { title: 'x' }, headers)).status).toBe(201)
    expect((await call('GET', `${path}?_method=DELETE`)).status).toBe(422)
    expect((await call('GET', path)).status).toBe(200)
  })

  test('of a route without a body may be absent or an empty object, and nothing else', async () => {
    const { app, call: ask, refuses } = await ada()
    const takesNone = [
      'DELETE /api/tasks/:id',
      'DELETE /api/auth/sessions/:id',
      'DELETE /api/auth/sessions',
      'POST /api/auth/logout',
      'POST /api/auth/refresh',
    ]

    for (const { name, method, path } of protectedRoutes(app)) {
      if (!takesNone.includes(name)) continue
      for (const body of [[], 'null', { x: 1 }, '1'])
        await refuses('422 invalid-request', () => ask(method, filled(path), body, json))
      await refuses('400 malformed-request', () => ask(method, filled(path), '{', json))
      await refuses('415 unsupported-media-type', () =>
        ask(method, filled(path), '<x/>', { 'content-type': 'text/xml' }),
      )
    }
    expect((await ask('POST', '/api/auth/refresh', {})).status).toBe(200)
    expect((await ask('POST', '/api/auth/refresh')).status).toBe(200)
  })
})

describe('a value', () => {
  const emoji = '😀'
  const family = '👨‍👩‍👧‍👦'

  test.each([
    ['white space', ' \t\u00a0\u3000\n'],
    ['zero-width spaces', '\u200b\u200c\u200d\ufeff\u2060'],
    ['format characters', '\u00ad\u061c\u200e\u202a\u2066\u{e0001}'],
    ['fillers', '\u115f\u1160\u3164\uffa0\u2800'],
    ['variation selectors', '\ufe0f\u{e0100}\u034f'],
  ])('a title of %s alone is blank', async (_, title) => {
    const { call, path, refuses } = await ada()

    for (const send of [
      () => call('POST', '/api/tasks', { title }),
      () => call('PUT', path, { title }),
      () => call('PATCH', path, { title }),
      () => call('POST', '/api/tasks/batch', { create: [{ title }] }),
      () => call('POST', '/api/tasks/import', { tasks: [{ title }] }),
    ]) {
      const { body } = await refuses('422 invalid-request', send)
      expect(body.errors[0].detail).toContain('must not be blank')
    }
    expect((await call('POST', '/api/tasks', { title: `${title}x` })).status).toBe(201)
  })

  test.each([
    ['title', 1, 500],
    ['description', 0, 10_000],
  ])('%s is counted in code points', async (member, min, max) => {
    const { call, refuses } = await ada()
    const send = (text: string) => call('POST', '/api/tasks', { title: 'x', [member]: text })

    for (const text of [
      'x'.repeat(min),
      'x'.repeat(max),
      emoji.repeat(max),
      family.repeat(Math.floor(max / 7)),
    ])
      expect((await send(text)).body[member]).toBe(text)
    for (const text of [
      'x'.repeat(max + 1),
      emoji.repeat(max + 1),
      `${family.repeat(Math.floor(max / 7))}${emoji.repeat(7)}`,
    ]) {
      const { body } = await refuses('422 invalid-request', () => send(text))
      expect(body.errors).toEqual([
        {
          in: 'body',
          pointer: `/${member}`,
          detail: expect.stringContaining(`at most ${max} characters`),
        },
      ])
    }
  })

  test('a tag has 1 to 50 code points, and there are at most 20 unique tags', async () => {
    const { call, refuses } = await ada()
    const send = (tags: unknown) => call('POST', '/api/tasks', { title: 'x', tags })
    const many = Array.from({ length: 21 }, (_, at) => `t${at}`)

    for (const tags of [
      [],
      ['a'],
      [emoji.repeat(50)],
      many.slice(1),
      ['a', 'A', 'a ', '\u00e1', 'a\u0301'],
    ])
      expect((await send(tags)).body.tags).toEqual(tags)
    for (const [tags, pointer] of [
      [many, '/tags'],
      [['a', 'b', 'a'], '/tags'],
      [[''], '/tags/0'],
      [['a', 'x'.repeat(51)], '/tags/1'],
      [['a', emoji.repeat(51)], '/tags/1'],
      [['a', 1], '/tags/1'],
      [['a', null], '/tags/1'],
      [['a', ['b']], '/tags/1'],
      ['a', '/tags'],
      [null, '/tags'],
      [{ 0: 'a' }, '/tags'],
    ] as const) {
      const { body } = await refuses('422 invalid-request', () => send(tags))
      expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toContain(pointer)
    }
  })

  test.each(['', ' ', '\t\n ', '\u00a0\u2003\u3000', '\ufeff'])('%j is no title', async (title) => {
    const { call, refuses } = await ada()

    const { body } = await refuses('422 invalid-request', () =>
      call('POST', '/api/tasks', { title }),
    )
    expect(body.errors[0].pointer).toBe('/title')
  })

  test.each([
    ['title', [1, true, null, [], ['x'], {}, 'a\0b', '\ud800', '\udc00x']],
    ['description', [1, false, [], {}, '\0', 'x\udfff']],
    ['priority', ['', 'LOW', 'normal ', 'toString', 1, 0, null, [], ['low']]],
    ['completed', ['true', 'false', 1, 0, null, '', [], 'on']],
    [
      'due_at',
      [
        '',
        'tomorrow',
        '2026-02-30T00:00:00Z',
        '2025-02-29T00:00:00Z',
        '1900-02-29T00:00:00Z',
        '2026-13-01T00:00:00Z',
        '2026-00-10T00:00:00Z',
        '2026-01-00T00:00:00Z',
        '2026-01-01',
        '2026-01-01T00:00:00',
        '2026-01-01T00:00Z',
        '2026-01-01 00:00:00Z',
        '2026-01-01T24:00:00Z',
        '2026-01-01T00:60:00Z',
        '2026-12-31T23:59:60Z',
        '2026-01-01T00:00:00.Z',
        '2026-01-01T00:00:00+24:00',
        '2026-01-01T00:00:00+01:60',
        '2026-01-01T00:00:00+0100',
        '2026-01-01T00:00:00+1',
        '2026-01-01T00:00:00Z\n',
        ' 2026-01-01T00:00:00Z',
        '0000-01-01T00:00:00Z',
        '0001-01-01T00:00:00+00:01',
        '9999-12-31T23:59:59-00:01',
        '10000-01-01T00:00:00Z',
        '+010000-01-01T00:00:00Z',
        '-0001-01-01T00:00:00Z',
        '٢٠٢٦-01-01T00:00:00Z',
        'infinity',
        'now',
        'epoch',
        0,
        1_767_225_600_000,
        true,
        [],
        {},
      ],
    ],
  ])('%s of a wrong type or form is 422 by name', async (member, values) => {
    const { call, path, refuses } = await ada()

    for (const value of values) {
      const sent = { title: 'x', completed: true, [member]: value }
      const { body } = await refuses('422 invalid-request', () => call('PUT', path, sent))
      expect([value, body.errors[0].in, body.errors[0].pointer]).toEqual([
        value,
        'body',
        `/${member}`,
      ])
    }
  })

  test('a time may have more fraction digits than are stored, in a body and in a query', async () => {
    const { call, path } = await ada()

    const { body } = await call('PUT', path, {
      title: 'x',
      due_at: '2026-11-20T23:16:35.474999Z',
      completed: false,
    })
    const found = await call('GET', '/api/tasks?due_after=2026-11-20T23:16:35.473999%2B00:00')

    expect(body.due_at).toBe('2026-11-20T23:16:35.474Z')
    expect(found.body.tasks).toMatchObject([{ id: body.id }])
  })

  test('a time without a zone, or without a time of day, is refused by the missing part', async () => {
    const { call, path } = await ada()
    const detailOf = async (due_at: unknown) =>
      (await call('PATCH', path, { due_at })).body.errors[0].detail

    expect(await detailOf('2026-12-24')).toBe('must have a time, such as T18:00:00Z')
    expect(await detailOf('2026-12-24T18:00:00')).toBe('must have a time zone, such as Z or +02:00')
    expect(await detailOf(5)).toEndWith(', or null')
  })

  test('a number is never accepted as another type: 1e400, -0, 2^53+1', async () => {
    const { call, path, refuses } = await ada()

    for (const number of ['1e400', '-0', '9007199254740993', '1.5', '-1'])
      for (const member of ['title', 'completed', 'due_at', 'priority', 'tags', 'description']) {
        const others = member === 'title' ? '"completed":true' : '"title":"x","completed":true'
        const text = `{${others},"${member}":${number}}`
        await refuses('422 invalid-request', () => call('PUT', path, text, json))
      }
  })

  test('never appears in the response or the log', async () => {
    const { call, path, log, token } = await ada()
    const canary = 'canary-4711'
    const sends: [string, string, unknown, string][] = [
      ['POST', '/api/auth/login', { email: `${canary}@x`, password: canary }, ''],
      ['POST', '/api/auth/register', { email: canary, password: canary }, ''],
      ['POST', '/api/auth/register', { email: `${canary}@x`, password: canary.slice(0, 5) }, ''],
      ['PUT', '/api/auth/me/password', { current_password: canary, new_password: canary }, ''],
      ['PATCH', '/api/auth/me', { email: canary, current_password: canary }, ''],
      ['POST', '/api/tasks', { title: [canary] }, ''],
      ['POST', '/api/tasks', { title: 'x', priority: canary, due_at: canary, tags: canary }, ''],
      ['PUT', path, `{"title":"${canary}`, ''],
      ['GET', '/api/tasks', undefined, `?cursor=${canary}`],
      ['GET', '/api/tasks', undefined, `?limit=${canary}`],
      ['GET', `/api/tasks/${canary}`, undefined, ''],
      ['GET', `/${canary}`, undefined, ''],
    ]

    for (const [method, where, body, query] of sends) {
      const answer = await call(method, `${where}${query}`, body, json)
      expect(answer.status).toBeWithin(400, 500)
      expect(answer.text).not.toContain(canary)
      expect(JSON.stringify([...answer.headers])).not.toContain(canary)
      expect(answer.text).not.toContain(token)
    }
    expect(JSON.stringify(log)).not.toContain(canary)
    expect(JSON.stringify(log)).not.toContain(token)
    expect(JSON.stringify(log)).not.toMatch(/select |insert |\$2b\$|correct horse/)
  })
})

describe('a query', () => {
  test.each([
    'limit=0',
    'limit=201',
    'limit=-1',
    'limit=+5',
    'limit=%2B5',
    'limit=1e2',
    'limit=0x10',
    'limit=%205',
    'limit=5%20',
    'limit=5.0',
    'limit=05',
    'limit=',
    'limit',
    'limit=1,2',
    'limit=%D9%A5',
    'limit=99999999999999999999',
    'limit=null',
    'limit=5&limit=5',
    'limit[]=5',
    'limit=5&limit=6',
    'Limit=5',
    'cursor=',
    'cursor=a&cursor=b',
    `cursor=${'A'.repeat(8193)}`,
    'offset=1',
    'user_id=x',
    'sort=nothing',
    '=x',
    'a=b',
    '%00=x',
  ])('?%s is 422 and names the parameter', async (query) => {
    const { call, refuses } = await ada()

    const { body } = await refuses('422 invalid-request', () => call('GET', `/api/tasks?${query}`))
    const name = decodeURIComponent(query.split(/[=&]/)[0] ?? '')
    expect(body.errors[0]).toMatchObject({ in: 'query', pointer: `/${name}` })
  })

  test.each(['limit=%', 'limit=%zz', '%ff=x', 'cursor=%c0%af', 'limit=%ed%a0%80'])(
    '?%s cannot be read: 400',
    async (query) => {
      const { call, refuses } = await ada()

      await refuses('400 malformed-request', () => call('GET', `/api/tasks?${query}`))
    },
  )

  test.each(['', '&', '&&limit=5&', 'limit=1', 'limit=200', '%6Cimit=5'])(
    '?%s is taken',
    async (query) => {
      const { call } = await ada()

      expect((await call('GET', `/api/tasks?${query}`)).status).toBe(200)
    },
  )

  test('is 422 by name on every route without query parameters', async () => {
    const { app, call, token, refuses } = await ada()

    for (const { name, method, path, body } of protectedRoutes(app)) {
      const answer = await refuses('422 invalid-request', () =>
        call(method, `${filled(path)}?surprise=1`, body),
      )
      expect([name, answer.body.errors]).toEqual([
        name,
        [{ in: 'query', pointer: '/surprise', detail: expect.any(String) }],
      ])
    }
    expect(token).toBeString()
  })

  test.each(['/api/tasks', '/api/tasks/trash', '/api/auth/me'])(
    'is called a parameter on %s, by a pointer that any name fits into',
    async (path) => {
      const { call, refuses } = await ada()

      const { body } = await refuses('422 invalid-request', () => call('GET', `${path}?a~/b=1`))

      expect(body.errors).toEqual([
        { in: 'query', pointer: '/a~0~1b', detail: 'is not a known parameter' },
      ])
    },
  )
})

describe('an id', () => {
  test('is accepted in any case, and returned in lower case', async () => {
    const { call, task } = await ada()
    const id = task.id.toUpperCase()
    const path = `/api/tasks/${id}`

    expect((await call('GET', path)).body).toEqual(task)
    expect((await call('PUT', path, { title: 'x' })).body.id).toBe(task.id)
    expect((await call('PATCH', `${path}/complete`)).status).toBe(200)
    const batch = { update: [{ id, title: 'y' }] }
    expect((await call('POST', '/api/tasks/batch', batch)).body.updated[0].id).toBe(task.id)
    expect((await call('DELETE', path)).status).toBe(200)
    expect((await call('POST', `${path}/restore`)).body.id).toBe(task.id)
    await call('DELETE', path)
    expect((await call('DELETE', `/api/tasks/trash/${id}`)).status).toBe(204)
    const { sessions } = (await call('GET', '/api/auth/sessions')).body
    const own = sessions[0].id.toUpperCase()
    expect((await call('DELETE', `/api/auth/sessions/${own}`)).status).toBe(204)
  })

  test('that is not a UUID does not exist', async () => {
    const { call, task, refuses } = await ada()
    const bent = [
      `{${task.id}}`,
      `urn:uuid:${task.id}`,
      task.id.replaceAll('-', ''),
      `${task.id}%20`,
      `%20${task.id}`,
      `${task.id}%00`,
      `${task.id}%0A`,
      `${task.id}.`,
      `${task.id}'--`,
      task.id.slice(1),
      '%',
      '%ff',
      '_',
      '-1',
      '0',
      'NaN',
    ]

    for (const id of bent) {
      await refuses('404 task-not-found', () => call('GET', `/api/tasks/${id}`))
      await refuses('404 task-not-found', () =>
        call('PUT', `/api/tasks/${id}`, { title: 'x', completed: true }),
      )
      await refuses('404 task-not-found', () => call('PATCH', `/api/tasks/${id}/complete`))
      await refuses('404 task-not-found', () => call('DELETE', `/api/tasks/${id}`))
      await refuses('404 session-not-found', () => call('DELETE', `/api/auth/sessions/${id}`))
    }
  })
})
