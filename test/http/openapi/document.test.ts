import { beforeAll, describe, expect, test } from 'bun:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { problemCatalogue } from '../../../src/http/problem-catalogue.ts'
import { type Answer, type Service, service } from '../../support/service.ts'

// biome-ignore lint/suspicious/noExplicitAny: a document of any shape
type Json = any

let api: Service
let document: Json
beforeAll(async () => {
  api = await service()
  document = (await api.call('GET', '/docs/json')).body
})

const resolved = (node: Json): Json =>
  node?.$ref === undefined
    ? node
    : node.$ref
        .slice(2)
        .split('/')
        .reduce((at: Json, key: string) => at[key], document)

const operations = (): { path: string; method: string; operation: Json }[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Json).map(([method, operation]) => ({ path, method, operation })),
  )
const operation = (id: string): Json =>
  operations().find((one) => one.operation.operationId === id)?.operation

const contents = (): { at: string; media: Json; refusal: boolean }[] =>
  operations().flatMap(({ operation: { operationId, requestBody, responses } }) =>
    [['body', requestBody], ...Object.entries<Json>(responses)]
      .filter(([status]) => status !== 'default')
      .flatMap(([status, { content } = {}]) =>
        Object.entries<Json>(content ?? {}).map(([type, media]) => ({
          at: `${operationId} ${status} ${type}`,
          media,
          refusal: type === 'application/problem+json',
        })),
      ),
  )

const ajv = () => {
  const checker = formats.default(new Ajv2020({ strict: false, allErrors: true }))
  return checker.addSchema({ $id: 'https://test/', components: document.components })
}
/** The errors of a value according to the document. */
const wrong = (checker: Ajv2020, schema: Json, value: unknown) => {
  const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"https://test/#/'))
  return checker.validate(absolute, value) ? [] : checker.errors
}

describe('the document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(document)

    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
    expect(document.openapi).toStartWith('3.1')
  })

  test('has exactly the routes of the service', () => {
    const routes = api.app.routes.filter(({ hooks }) => hooks.detail?.hide !== true)

    const documented = operations().map(({ method, path }) => `${method.toUpperCase()} ${path}`)

    expect(documented.sort()).toEqual(
      routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`).sort(),
    )
  })

  test('names each operation once, with a summary and a described tag', () => {
    const ids = operations().map((one) => one.operation.operationId)
    const tags = document.tags.map(({ name }: Json) => name)

    expect(new Set(ids).size).toBe(ids.length)
    for (const { operation: one } of operations()) {
      expect(one.summary?.length, one.operationId).toBeGreaterThan(3)
      expect(one.tags, one.operationId).toHaveLength(1)
      expect(tags).toContain(one.tags[0])
    }
  })

  test('requires authentication exactly where the service does', () => {
    for (const { method, path, hooks } of api.app.routes) {
      const one = document.paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
      if (one === undefined) continue
      const open = hooks.detail?.security?.length === 0
      const accessToken = [{ password: [] }, { bearer: [] }]
      const refreshToken: Record<string, object[]> = {
        '/api/auth/refresh': [{ refreshCookie: [] }, {}],
        '/api/auth/logout': [{ refreshCookie: [] }],
      }
      const either = [...accessToken, ...(refreshToken[path] ?? [])]
      expect(one.security, path).toEqual(open ? [] : either)
      expect(Object.hasOwn(one.responses, '401'), path).toBe(path.endsWith('/login'))
    }
  })

  test('describes every response, with its media type unless it is empty', () => {
    for (const { operation: one } of operations())
      for (const [status, reference] of Object.entries<Json>(one.responses)) {
        const answer = resolved(reference)
        const at = `${one.operationId} ${status}`
        expect(answer.description.length, at).toBeGreaterThan(3)
        expect(answer.content === undefined, at).toBe(status === '204' || status === '304')
        if (Number(status) >= 400 || status === 'default')
          expect(Object.keys(answer.content), at).toContain('application/problem+json')
      }
  })

  test('lists problems that share a status separately, and common ones only once', () => {
    const shared = operation('createTask').responses['422'] ?? {}
    const own = operation('register').responses
    const common = resolved(operation('createTask').responses.default)

    expect(Object.keys(shared.content['application/problem+json'].examples)).toEqual([
      'idempotency-mismatch',
    ])
    expect(Object.keys(own)).toEqual(['201', '202', '403', '409', '422', '429', 'default'])
    expect(Object.keys(common.content['application/problem+json'].examples).sort()).toEqual([
      'body-too-large',
      'insufficient-scope',
      'internal',
      'invalid-request',
      'malformed-request',
      'method-not-allowed',
      'rate-limited',
      'unauthenticated',
      'unavailable',
      'unsupported-media-type',
    ])
    for (const code of Object.keys(common.content['application/problem+json'].examples))
      expect(document.info.description).toContain(`| \`${code}\` |`)
    for (const { at, media, refusal } of contents())
      for (const code of Object.keys((refusal && media.examples) || {}))
        expect(at).toContain(` ${problemCatalogue[code as keyof typeof problemCatalogue].status} `)
  })

  test('has a valid example of every body and response', () => {
    const checker = ajv()

    for (const { at, media, refusal } of contents()) {
      const examples = refusal
        ? Object.values(media.examples ?? {}).map((one) => resolved(one).value)
        : [media.example]
      for (const example of examples) {
        expect(example, at).toBeDefined()
        expect(wrong(checker, media.schema, example), at).toEqual([])
      }
      // The placeholder for a text without an example.
      expect(JSON.stringify(examples), at).not.toContain('"…"')
    }
  })

  test('has bodies only where the service reads them, with the accepted media types', () => {
    expect(operation('deleteTask').requestBody).toBeUndefined()
    expect(operation('completeTask').requestBody.required).toBe(false)
    expect(operation('createTask').requestBody.required).toBe(true)
    expect(Object.keys(operation('createTask').requestBody.content)).toEqual(['application/json'])
    expect(Object.keys(operation('createOAuthToken').requestBody.content)).toEqual([
      'application/x-www-form-urlencoded',
    ])
    expect(Object.keys(operation('updateTask').requestBody.content)).toEqual([
      'application/merge-patch+json',
      'application/json',
    ])
    expect(Object.keys(operation('importTasks').requestBody.content)).toEqual([
      'application/json',
      'application/x-ndjson',
      'text/csv',
      'text/calendar',
    ])
  })

  test('has the request headers that the service uses, and their problems', () => {
    const taken = operations().flatMap(({ operation: { operationId, parameters, responses } }) =>
      parameters
        .filter((one: Json) => one.in === 'header')
        .map(({ name, schema, description }: Json) => {
          expect(schema.examples, `${operationId} ${name}`).toHaveLength(1)
          expect(description.length).toBeGreaterThan(3)
          const refused = {
            'If-Match': '412',
            'If-None-Match': '304',
            'Idempotency-Key': '409',
            'Last-Event-ID': '410',
          }[name as string]
          expect(Object.keys(responses), operationId).toContain(refused ?? '')
          if (/^If-/.test(name))
            for (const value of ['"1"', 'W/"1"', '"1", "2"', '*', '""'])
              expect(value).toMatch(new RegExp(schema.pattern))
          for (const value of ['1', '"1', '"1" "2"', ''])
            if (/^If-/.test(name)) expect(value).not.toMatch(new RegExp(schema.pattern))
          return `${operationId} ${name}`
        }),
    )

    expect(taken.sort()).toEqual([
      'batchTasks Idempotency-Key',
      'completeTask Idempotency-Key',
      'completeTask If-Match',
      'createTask Idempotency-Key',
      'deleteList If-Match',
      'deleteTask If-Match',
      'getList If-None-Match',
      'getTask If-None-Match',
      'importTasks Idempotency-Key',
      'listChanges If-None-Match',
      'moveList If-Match',
      'moveTask If-Match',
      'readCalendar If-None-Match',
      'replaceTask If-Match',
      'restoreTask If-Match',
      'streamEvents Last-Event-ID',
      'updateList If-Match',
      'updateTask If-Match',
    ])
  })

  test('is plain JSON Schema without keywords of the validator', () => {
    const text = JSON.stringify(document)

    expect(text).not.toMatch(/"(\$id|nullable|blank|x-(?!enum-varnames)[a-z-]+|\[Kind\])":/)
    expect(text).not.toMatch(/"type":"(undefined|void|Date)"/)
    expect(document.components.schemas.Task.properties.due_at.type).toEqual(['string', 'null'])
    expect(document.components.schemas.Task.properties.version.type).toBe('integer')
  })

  test('has named types, defaults, and names that a client would use', () => {
    const { schemas } = document.components
    const parameters = operation('listTasks').parameters
    const parameter = (name: string) => parameters.find((one: Json) => one.name === name).schema

    const keys = schemas.Sort.enum.join('|')
    expect(parameter('sort')).toEqual({
      anyOf: [
        { $ref: '#/components/schemas/Sort' },
        { type: 'string', pattern: `^(${keys})(,(${keys})){1,2}$` },
      ],
      default: '-created_at',
    })
    expect(parameter('priority').items.$ref).toBe('#/components/schemas/Priority')
    expect(parameter('limit').default).toBe(50)
    expect(schemas.Sort['x-enum-varnames']).toHaveLength(schemas.Sort.enum.length)
    expect(schemas.Sort['x-enum-varnames']).toContain('DueAtDescending')
    expect(schemas.Task.properties.priority).toEqual({ $ref: '#/components/schemas/Priority' })
    expect(schemas.PersonalToken.properties.scope).toEqual({ $ref: '#/components/schemas/Scope' })
    expect(schemas.Problem.properties.status.type).toBe('integer')
    const defaultsOf = (name: string) =>
      Object.fromEntries(
        Object.entries<Json>(schemas[name].properties).flatMap(([member, one]) =>
          'default' in one ? [[member, one.default]] : [],
        ),
      )
    const defaults = {
      description: null,
      priority: 'normal',
      due_at: null,
      due_on: null,
      tags: [],
      list_id: null,
      recurrence: null,
      reminders: [],
    }
    expect(defaultsOf('NewTask')).toEqual(defaults)
    expect(defaultsOf('TaskReplacement')).toEqual({ ...defaults, completed: false })
    expect(defaultsOf('TaskPatch')).toEqual({})
    expect(defaultsOf('NewPersonalToken')).toEqual({ expires_in: 7_776_000 })
    // No name is another one's plural, participle or noun.
    const stems = Object.keys(schemas).map((name) => name.replace(/(s|d|ed|ion|ions|tion)$/, ''))
    expect(new Set(stems).size).toBe(stems.length)
  })

  test('shows the configured limits', async () => {
    const { call } = await service({ RATE_LIMIT: '7', BODY_LIMIT: '2048', TRASH_DAYS: '9' })
    const { description } = (await call('GET', '/docs/json')).body.info

    expect(description).toContain('| 7 in 3600 s |')
    expect(description).toContain('| body | 2048 bytes |')
    expect(description).toContain('| trash | 9 days |')
  })

  test('does not depend on earlier requests', async () => {
    const other = await service()
    const { call } = await other.someone()
    await call('POST', '/api/tasks', { title: 'one' })
    await call('GET', '/api/tasks')
    await other.call('POST', '/api/oauth/token', { body: {} })

    expect((await other.call('GET', '/docs/json')).body).toEqual(document)
  })

  test('is revalidated by its ETag', async () => {
    const { headers } = await api.call('GET', '/docs/json')

    const again = await api.call('GET', '/docs/json', {
      headers: { 'if-none-match': headers.get('etag') ?? '' },
    })

    expect([again.status, again.text]).toEqual([304, ''])
  })
})

test('responses match the document in body and headers', async () => {
  const checker = ajv()
  const { email, password, call } = await api.someone()
  const { body: task } = await call('POST', '/api/tasks', { title: 'one' })
  const path = `/api/tasks/${task.id}`
  const answers: [string, Answer][] = [
    ['login', await api.call('POST', '/api/auth/login', { body: { email, password } })],
    ['login', await api.call('POST', '/api/auth/login', { body: { email, password: 'no' } })],
    ['createTask', await call('POST', '/api/tasks', { title: 'two' })],
    ['createTask', await call('POST', '/api/tasks', { title: '' })],
    ['createTask', await api.call('POST', '/api/tasks', { body: { title: 'two' } })],
    ['listTasks', await call('GET', '/api/tasks?limit=1')],
    ['getTask', await call('GET', path)],
    ['replaceTask', await call('PUT', path, { title: 'three', completed: true })],
    ['completeTask', await call('PATCH', `${path}/complete`)],
    ['updateTask', await call('PATCH', path, { priority: 'high' })],
    ['updateTask', await call('PATCH', path, { priority: 'low' }, { 'if-match': '"1"' })],
    ['updateTask', await call('PATCH', path, { priority: 'low' }, { 'if-match': '1' })],
    ['createTask', await call('POST', '/api/tasks', { title: 'a' }, { 'idempotency-key': 'k' })],
    ['createTask', await call('POST', '/api/tasks', { title: 'a' }, { 'idempotency-key': 'k' })],
    ['createTask', await call('POST', '/api/tasks', { title: 'b' }, { 'idempotency-key': 'k' })],
    ['batchTasks', await call('POST', '/api/tasks/batch', { complete: [{ id: task.id }] })],
    ['batchTasks', await call('POST', '/api/tasks/batch', { delete: ['none'] })],
    ['listTasks', await call('GET', '/api/tasks?cursor=none')],
    ['deleteTask', await call('DELETE', path, undefined, { 'if-match': '1' })],
    ['deleteTask', await call('DELETE', path)],
    ['getTask', await call('GET', path)],
    ['listChanges', await call('GET', '/api/tasks/changes')],
    ['listChanges', await call('GET', '/api/tasks/changes?since=none')],
    ['listTrash', await call('GET', '/api/tasks/trash')],
    ['restoreTask', await call('POST', `${path}/restore`)],
    ['importTasks', await call('POST', '/api/tasks/import', { tasks: [{ title: 'a' }] })],
    ['importTasks', await call('POST', '/api/tasks/import?dry_run=true', { tasks: [] })],
    ['importTasks', await call('POST', '/api/tasks/import', { tasks: [{}] })],
    ['exportTasks', await call('GET', '/api/tasks/export')],
    ['exportTasks', await call('GET', '/api/tasks/export?format=ndjson')],
    ['exportTasks', await call('GET', '/api/tasks/export?format=csv')],
    ['exportTasks', await call('GET', '/api/tasks/export?format=ics')],
    ['exportTasks', await call('GET', '/api/tasks/export?format=pdf')],
    ['getCurrentUser', await call('GET', '/api/auth/me')],
    ['listSessions', await call('GET', '/api/auth/sessions')],
    ['getProblem', await api.call('GET', '/problems/rate-limited')],
  ]

  for (const [id, { status, headers, body, text }] of answers) {
    const { responses } = operation(id)
    const documented = resolved(responses[status] ?? responses.default)
    const type = headers.get('content-type')?.split(';')[0] ?? ''
    const { schema } = documented.content[type]
    expect(wrong(checker, schema, body ?? text), `${id} ${status}`).toEqual([])
    isDocumented(id, status, headers)
  }
})

const isDocumented = (id: string, status: number, headers: Headers) => {
  const { responses } = operation(id)
  const common = resolved(responses.default)
  const own = responses[status] ?? common
  const names = [common, own].flatMap(({ headers: documented = {} }) =>
    Object.keys(documented).map((one) => one.toLowerCase()),
  )
  const sent = [...headers.keys()].filter((name) => !ordinary.has(name))
  expect(names, `${id} ${status}`).toEqual(expect.arrayContaining(sent))
}

test('304 and pages with a next page have the documented headers', async () => {
  const { call } = await api.someone()
  const { body: task, headers } = await call('POST', '/api/tasks', { title: 'one' })
  await call('POST', '/api/tasks', { title: 'two' })
  const etag = { 'if-none-match': headers.get('etag') ?? '' }

  const known = await call('GET', `/api/tasks/${task.id}`, undefined, etag)
  const page = await call('GET', '/api/tasks?limit=1')
  for (const { id } of (await call('GET', '/api/tasks')).body.tasks)
    await call('DELETE', `/api/tasks/${id}`)
  const trash = await call('GET', '/api/tasks/trash?limit=1')

  expect([known.status, known.text]).toEqual([304, ''])
  isDocumented('getTask', 304, known.headers)
  isDocumented('listTasks', 200, page.headers)
  isDocumented('listTrash', 200, trash.headers)
  expect([page, trash].map((one) => one.headers.has('link'))).toEqual([true, true])
})

test('the examples of requests are accepted', async () => {
  const { call } = await api.someone()
  const exampleOf = (id: string, type = 'application/json') =>
    operation(id).requestBody.content[type].example
  const importing = (type: string) =>
    call('POST', '/api/tasks/import', exampleOf('importTasks', type), { 'content-type': type })

  const { body: task, status } = await call('POST', '/api/tasks', exampleOf('createTask'))
  const path = `/api/tasks/${task.id}`
  const replaced = await call('PUT', path, exampleOf('replaceTask'))
  const changed = await call('PATCH', path, exampleOf('updateTask'))
  const completed = await call('PATCH', `${path}/complete`, exampleOf('completeTask'))
  const imported = await Promise.all(
    ['application/json', 'application/x-ndjson', 'text/csv', 'text/calendar'].map(importing),
  )
  const batched = await call('POST', '/api/tasks/batch', exampleOf('batchTasks'))

  expect([status, replaced.status, changed.status, completed.status]).toEqual([201, 200, 200, 200])
  expect(imported.map(({ body }) => body.imported)).toEqual([2, 2, 2, 2])
  // The example ids belong to no user.
  expect([batched.status, batched.body.errors[0].pointer]).toEqual([404, '/update/0'])
})

test('an export matches its example', async () => {
  const content = operation('exportTasks').responses['200'].content
  const { call } = await api.someone()

  for (const type of ['application/x-ndjson', 'text/csv', 'text/calendar']) {
    const { status, body } = await call('POST', '/api/tasks/import', content[type].example, {
      'content-type': type,
    })
    expect([type, status, body.imported]).toEqual([type, 200, 1])
  }
  expect(content['text/calendar'].example).toStartWith('BEGIN:VCALENDAR\r\nVERSION:2.0\r\n')
  expect(content['application/json'].schema).toEqual({ $ref: '#/components/schemas/TaskExport' })
})

const ordinary = new Set([
  'content-type',
  'cache-control',
  'content-security-policy',
  'referrer-policy',
  'x-content-type-options',
  'vary',
])

describe('the page', () => {
  const linked = async () => {
    const { text } = await api.call('GET', '/docs')
    return [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url ?? '')
  }

  test('refers to no other host, and its policy forbids it', async () => {
    const { text, headers } = await api.call('GET', '/docs')
    const policy = headers.get('content-security-policy') ?? ''

    expect(text).not.toMatch(/https?:|\/\/|<style|onload|<script>/)
    expect((await linked()).every((url) => /^\/docs\/[\w./-]+$/.test(url))).toBe(true)
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
  })

  test('loads all files from this service, with their media types, cacheable', async () => {
    const types: Record<string, string> = {
      css: 'text/css; charset=utf-8',
      js: 'text/javascript; charset=utf-8',
      png: 'image/png',
    }

    for (const url of await linked()) {
      const whole = await api.call('GET', url)
      expect(whole.status, url).toBe(200)
      expect(whole.headers.get('content-type'), url).toBe(types[url.split('.').at(-1) ?? ''] ?? '')
      expect(whole.headers.get('x-content-type-options')).toBe('nosniff')
      if (url.includes('swagger-ui-'))
        expect(whole.headers.get('cache-control')).toContain('immutable')
    }
    expect(await linked()).toHaveLength(5)
  })

  test('compresses its script for clients that accept it', async () => {
    const url = (await linked()).find((one) => one.endsWith('bundle.js')) ?? ''
    const request = (encoding: string) =>
      api.app.fetch(
        new Request(`http://localhost${url}`, { headers: { 'accept-encoding': encoding } }),
      )

    const plain = await (await request('identity')).arrayBuffer()
    const zipped = await request('gzip, br')

    expect(zipped.headers.get('content-encoding')).toBe('gzip')
    expect(Bun.gunzipSync(await zipped.arrayBuffer())).toEqual(new Uint8Array(plain))
  })

  test('needs no token and is not counted', async () => {
    const poor = await service({ RATE_LIMIT: '1' })

    for (const url of ['/docs', '/docs/json', ...(await linked())]) {
      const { status, headers } = await poor.call('GET', url, { token: 'nonsense' })
      expect([url, status, headers.get('ratelimit-limit')]).toEqual([url, 200, null])
    }
  })

  test('accepts the form that its Authorize dialog sends', async () => {
    const { email, password } = await api.someone()
    const { tokenUrl } = document.components.securitySchemes.password.flows.password

    const { status, body } = await api.call('POST', tokenUrl, {
      body: new URLSearchParams({ grant_type: 'password', username: email, password }).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${btoa('swagger-ui:')}`,
      },
    })

    expect(status).toBe(200)
    expect((await api.call('GET', '/api/tasks', { token: body.access_token })).status).toBe(200)
  })
})
