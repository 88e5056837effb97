import { afterAll, beforeAll, expect, test } from 'bun:test'
import { listening } from '../support/listening.ts'

/*
 * Reads examples/requests.http like the REST Client of VS Code: requests between `###`, variables of the file, and
 * responses of named requests.
 */

const text = await Bun.file('examples/requests.http').text()
const [head = '', ...sections] = text.split(/^###/m)

type Listed = {
  title: string
  status: number
  code: string | undefined
  name: string | undefined
  method: string
  url: string
  headers: [string, string][]
  body: string | undefined
}

const requests = sections.map((section): Listed => {
  const [title = '', ...lines] = section.trim().split('\n')
  const comments = lines.filter((line) => line.startsWith('#'))
  const [first = '', ...rest] = lines.slice(comments.length)
  const [method = '', url = ''] = first.split(' ')
  const blank = rest.includes('') ? rest.indexOf('') : rest.length
  const [, status, code] = /^# (\d{3})(?: ([a-z-]+))?/.exec(comments[0] ?? '') ?? []
  return {
    title,
    status: Number(status),
    code,
    name: /^# @name (\w+)$/m.exec(comments.join('\n'))?.[1],
    method,
    url,
    headers: rest.slice(0, blank).map((line): [string, string] => {
      const [name = '', value = ''] = line.split(/: (.*)/)
      return [name, value]
    }),
    body: blank < rest.length ? rest.slice(blank + 1).join('\n') : undefined,
  }
})

const publicUrl = 'https://tasks.example'

let here: Awaited<ReturnType<typeof listening>>
beforeAll(async () => {
  here = await listening({
    MAIL_URL: 'smtp://127.0.0.1:9',
    MAIL_FROM: 'no-reply@tasks.example',
    PUBLIC_URL: publicUrl,
  })
})
afterAll(() => here.stop())

/** The path of a request; a `feed_url` is that of the calendar. */
const pathOf = (url: string): string =>
  url
    .replace('{{calendar.response.body.$.feed_url}}', '/api/calendar/feed')
    .replace('{{host}}', '')
    .replace(/\?.*/, '')

/** Resolves a path like `$.sessions[0].id`. */
const within = (body: unknown, path: string): unknown =>
  (path.match(/\w+/g) ?? []).reduce((at, key) => (at as Record<string, unknown>)?.[key], body)

test('every request of the collection gets the response that it announces', async () => {
  const variables = new Map(
    [...head.matchAll(/^@(\w+) = (.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  )
  variables.set('host', here.origin)
  variables.set('email', `${Bun.randomUUIDv7()}@example.test`)
  const answers = new Map<string, { body: unknown; headers: Headers }>()
  const filled = (written: string): string =>
    written.replace(/\{\{(.*?)\}\}/g, (_, what: string) => {
      const [, name = '', part, path = ''] =
        /^(\w+)\.response\.(body|headers)\.(.*)$/.exec(what) ?? []
      const answer = answers.get(name)
      const found = part === 'body' ? within(answer?.body, path) : answer?.headers.get(path)
      const value = name === '' ? variables.get(what) : found
      if (typeof value !== 'string') throw new Error(`nothing to put for ${what}`)
      return filled(value)
    })

  for (const { title, status, code, name, method, url, headers, body } of requests) {
    // The feed of a calendar is at PUBLIC_URL.
    const answer = await fetch(filled(url).replace(publicUrl, here.origin), {
      method,
      headers: headers.map(([one, value]): [string, string] => [one, filled(value)]),
      ...(body !== undefined && { body: filled(body) }),
    })
    const isJson = answer.headers.get('content-type')?.includes('json')
    const read: unknown = isJson ? await answer.json() : undefined
    const refused = answer.ok ? undefined : within(read, 'code')
    if (name !== undefined) answers.set(name, { body: read, headers: answer.headers })
    expect([title, answer.status, refused]).toEqual([title, status, code])
  }
})

test('the collection has every documented route', async () => {
  const { paths } = (await here.call('GET', '/docs/json')).body
  const written = requests.map(({ method, url }) => [method, pathOf(url)] as const)

  for (const [path, methods] of Object.entries<object>(paths))
    for (const method of Object.keys(methods)) {
      const filling = { id: '\\{\\{[^/]+\\}\\}', code: '[a-z-]+', secret: 'feed' }
      const pattern = path.replace(
        /\{(id|code|secret)\}/g,
        (_, name: keyof typeof filling) => filling[name],
      )
      const isWritten = written.some(
        ([one, to]) => one.toLowerCase() === method && new RegExp(`^${pattern}$`).test(to),
      )
      expect([method, path, isWritten]).toEqual([method, path, true])
    }
})

test('each request of the collection describes itself and its response', () => {
  for (const { title, status, method, url } of requests) {
    expect(title.length).toBeGreaterThan(2)
    expect([title, status >= 200 && status < 500]).toEqual([title, true])
    expect([title, method, url]).toEqual([
      title,
      expect.stringMatching(/^[A-Z]+$/),
      expect.stringMatching(/^\{\{(host\}\}\/|calendar\.)/),
    ])
  }
})
