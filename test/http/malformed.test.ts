import { expect, test } from 'bun:test'
import { findJsonError } from '../../src/http/json-error.ts'
import { service } from '../support/service.ts'

const json = { 'content-type': 'application/json' }
const owner = async () => (await service()).someone()
type Sent = [method: string, path: string, body?: unknown, headers?: Record<string, string>]

const listed = '/api/tasks'
const one = `/api/tasks/${Bun.randomUUIDv7()}`
const etag = 'must be an ETag in quotes, such as "3"'
const cursor = 'must be a next_cursor of this list, with the same sort and filters'
const encoding = 'has invalid percent-encoding'
const since = 'must be the `next` of an earlier response'

test.each<[what: string, sent: Sent, error: { in: string; pointer: string; detail: string }]>([
  ...['PUT', 'PATCH'].map(
    (method): [string, Sent, { in: string; pointer: string; detail: string }] => [
      `If-Match on ${method}`,
      [method, one, { title: 'x' }, { 'if-match': '3' }],
      { in: 'header', pointer: '/if-match', detail: etag },
    ],
  ),
  [
    'If-Match on DELETE',
    ['DELETE', one, undefined, { 'if-match': '"3" "4"' }],
    { in: 'header', pointer: '/if-match', detail: etag },
  ],
  [
    'If-Match on complete',
    ['PATCH', `${one}/complete`, undefined, { 'if-match': 'W/3' }],
    { in: 'header', pointer: '/if-match', detail: etag },
  ],
  [
    'If-Match on restore',
    ['POST', `${one}/restore`, undefined, { 'if-match': '' }],
    { in: 'header', pointer: '/if-match', detail: etag },
  ],
  ['a cursor', ['GET', `${listed}?cursor=x`], { in: 'query', pointer: '/cursor', detail: cursor }],
  [
    'a cursor of the trash',
    ['GET', `${listed}/trash?cursor=x`],
    { in: 'query', pointer: '/cursor', detail: cursor },
  ],
  [
    'a changes token',
    ['GET', `${listed}/changes?since=x`],
    { in: 'query', pointer: '/since', detail: since },
  ],
  ['a parameter', ['GET', `${listed}?q=%`], { in: 'query', pointer: '/q', detail: encoding }],
  [
    'the name of a parameter',
    ['GET', `${listed}?%=1`],
    { in: 'query', pointer: '', detail: encoding },
  ],
  [
    'JSON',
    ['POST', listed, '{"title": tru}', json],
    { in: 'body', pointer: '', detail: 'is not valid JSON at line 1, column 11' },
  ],
  [
    'JSON of several lines',
    ['POST', listed, '{\n  "title": "x",\n}', json],
    { in: 'body', pointer: '', detail: 'is not valid JSON at line 3, column 1' },
  ],
  [
    'JSON that ends too early',
    ['POST', listed, '{"title": "x"', json],
    { in: 'body', pointer: '', detail: 'is not valid JSON at line 1, column 14' },
  ],
  [
    'UTF-8',
    ['POST', listed, new Uint8Array([0x22, 0xff, 0x22]), json],
    { in: 'body', pointer: '', detail: 'is not valid UTF-8' },
  ],
  [
    'JSON of an import',
    ['POST', `${listed}/import`, '{"tasks": [{]}', json],
    { in: 'body', pointer: '', detail: 'is not valid JSON at line 1, column 13' },
  ],
])(
  'a malformed request names what is malformed: %s',
  async (_, [method, path, body, headers], error) => {
    const ada = await owner()

    const answer = await ada.call(method, path, body, headers)

    expect([answer.status, answer.body.code, answer.body.errors]).toEqual([
      400,
      'malformed-request',
      [error],
    ])
  },
)

test('If-None-Match of an existing task names what is malformed', async () => {
  const ada = await owner()
  const { id } = (await ada.call('POST', listed, { title: 'x' })).body

  const path = `${listed}/${id}`
  const { status, body } = await ada.call('GET', path, undefined, { 'if-none-match': '1' })

  expect([status, body.errors]).toEqual([
    400,
    [{ in: 'header', pointer: '/if-none-match', detail: etag }],
  ])
})

test.each([
  [listed, { 'content-type': 'text/plain' }, '/content-type', 'must be application/json'],
  [
    listed,
    { ...json, 'content-encoding': 'gzip' },
    '/content-encoding',
    'is not supported: send the body without compression',
  ],
  [
    listed,
    { 'content-type': 'application/json; charset=latin1' },
    '/content-type',
    'must have charset=utf-8',
  ],
  [
    `${listed}/import`,
    { 'content-type': 'text/xml' },
    '/content-type',
    'must be application/json or application/x-ndjson or text/csv or text/calendar',
  ],
])(
  '415 for %s with %j names the header and the accepted types',
  async (path, headers, pointer, detail) => {
    const ada = await owner()

    const answer = await ada.call('POST', path, '{}', headers)

    expect([answer.status, answer.body.errors]).toEqual([415, [{ in: 'header', pointer, detail }]])
    const accepted =
      path === listed
        ? 'application/json'
        : 'application/json, application/x-ndjson, text/csv, text/calendar'
    expect(answer.headers.get('accept')).toBe(accepted)
  },
)

test('an invalid Idempotency-Key is 422 on every route that accepts one, on a dry run too', async () => {
  const ada = await owner()
  const { id } = (await ada.call('POST', listed, { title: 'x' })).body
  const sent: Sent[] = [
    ['POST', listed, { title: 'y' }],
    ['PATCH', `${listed}/${id}/complete`],
    ['POST', `${listed}/batch`, { create: [{ title: 'y' }] }],
    ['POST', `${listed}/import`, { tasks: [{ title: 'y' }] }],
    ['POST', `${listed}/import?dry_run=true`, { tasks: [{ title: 'y' }] }],
  ]

  for (const [method, path, body] of sent)
    for (const key of ['', '""', 'x'.repeat(256), 'é']) {
      const answer = await ada.call(method, path, body, { 'idempotency-key': key })
      expect([path, answer.status, answer.body.errors]).toEqual([
        path,
        422,
        [
          {
            in: 'header',
            pointer: '/idempotency-key',
            detail: 'must be 1 to 255 printable ASCII characters',
          },
        ],
      ])
    }
  expect((await ada.call('GET', listed)).body.tasks).toHaveLength(1)
})

test('a text without a position is not parsed again', () => {
  expect(findJsonError('['.repeat(100))).toBeUndefined()
  expect(findJsonError(`"\n${'['.repeat(100_000)}`)).toEqual({ line: 1, column: 1 })
  expect(findJsonError(' '.repeat(1_000_001))).toBeUndefined()
})
