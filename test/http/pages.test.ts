import { expect, test } from 'bun:test'
import { problemCatalogue } from '../../src/http/problem-catalogue.ts'
import { type Answer, service } from '../support/service.ts'

const { version } = await Bun.file('package.json').json()
const browser = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8',
}
const pages = ['/', '/problems', '/problems/invalid-request']
const api = await service()

const linksOf = ({ text }: Answer) =>
  [...text.matchAll(/href="(\/[^"]*)"/g)].map(([, to]) => to ?? '')
/** The visible text of a page. */
const readIn = ({ text }: Answer) =>
  text
    .replace(/<style>[\s\S]*<\/style>|<[^>]*>/g, '')
    .replace(/&quot;/g, '"')
    .replace(/&#x27;/g, "'")
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')

test('GET / returns name, version and links', async () => {
  const { status, body } = await api.call('GET', '/')

  expect(status).toBe(200)
  expect(body).toMatchObject({ name: 'Taskwarden', version })
  for (const path of Object.values<string>(body.links))
    expect([path, (await api.call('GET', path)).status]).toEqual([path, 200])
})

test('GET / shows the same as a page', async () => {
  const { body } = await api.call('GET', '/')

  const page = await api.call('GET', '/', { headers: browser })

  expect(readIn(page)).toContain(`Taskwarden ${version}`)
  expect(linksOf(page)).toEqual(expect.arrayContaining(Object.values(body.links)))
})

test('the home page does not mention sign-up if registration is closed', async () => {
  const closed = await service({ REGISTRATION: 'closed' })

  const page = readIn(await closed.call('GET', '/', { headers: browser }))

  expect(page).not.toContain('/api/auth/register')
  expect(page).toContain('POST /api/auth/login')
  expect(readIn(await api.call('GET', '/', { headers: browser }))).toContain(
    'POST /api/auth/register',
  )
})

test('each problem has a page with status, code, cause, advice and example', async () => {
  const list = await api.call('GET', '/problems', { headers: browser })

  for (const [code, { status, title, cause, cure }] of Object.entries(problemCatalogue)) {
    expect(linksOf(list)).toContain(`/problems/${code}`)
    const answer = await api.call('GET', `/problems/${code}`, { headers: browser })
    const page = readIn(answer)
    for (const said of [code, title, cause, cure]) expect(page).toContain(said.replaceAll('`', ''))
    expect(page).toContain(`"status": ${status}`)
    expect(page).not.toContain('`')
    for (const path of linksOf(answer)) expect((await api.call('GET', path)).status).toBe(200)
  }
  const unknown = await api.call('GET', '/problems/none', { headers: browser })
  expect([unknown.status, unknown.body.code]).toEqual([404, 'not-found'])
})

test.each(pages)('%s is a page for clients that prefer HTML, and JSON for others', async (path) => {
  const accepts: [string | undefined, string][] = [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['application/json', 'application/json'],
    ['application/json, text/html', 'application/json'],
    ['text/html;q=0.5, application/json', 'application/json'],
    ['text/html;q=0', 'application/json'],
    ['image/png', 'application/json'],
    ['text/html', 'text/html'],
    ['TEXT/HTML, application/json;q=0.9', 'text/html'],
    ['text/*, */*;q=0.1', 'text/html'],
    [browser.accept, 'text/html'],
  ]

  for (const [accept, type] of accepts) {
    const { status, headers } = await api.call('GET', path, {
      headers: accept === undefined ? {} : { accept },
    })
    expect([accept, status, headers.get('content-type')?.split(';')[0]]).toEqual([
      accept,
      200,
      type,
    ])
    expect(headers.get('vary')).toBe('Accept')
  }
})

test.each(pages)('%s as a page runs no script and loads nothing', async (path) => {
  const { text, headers } = await api.call('GET', path, { headers: browser })
  const [, style = ''] = /<style>([\s\S]*)<\/style>/.exec(text) ?? []
  const hash = new Bun.CryptoHasher('sha256').update(style).digest('base64')

  expect(headers.get('content-security-policy')).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(text).not.toMatch(/<script|\son\w+=|style=|<img|https?:\/\/(?!www\.w3\.org|.*%)/)
  // Without an icon, a browser requests /favicon.ico, which is a counted 404.
  expect(text).toMatch(/<link rel="icon" href="data:image\/svg\+xml,/)
})

test.each(pages)('%s varies by Origin too if CORS_ORIGINS is set', async (path) => {
  const { call } = await service({ CORS_ORIGINS: 'https://app.example.com' })

  const { headers } = await call('GET', path)

  expect(headers.get('vary')).toBe('Accept, Origin')
})

test('pages need no token and are not counted', async () => {
  const poor = await service({ RATE_LIMIT: '1' })

  for (const path of [...pages, ...pages]) {
    const { status, headers } = await poor.call('GET', path, {
      token: 'nonsense',
      headers: browser,
    })
    expect([status, headers.get('ratelimit-limit')]).toEqual([200, null])
  }
  expect((await poor.call('GET', '/?utm_source=x')).status).toBe(422)
  expect((await poor.call('POST', '/')).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
})
