import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { listening } from '../support/listening.ts'
import { browse, missing } from './chromium.ts'

/* The refresh loop of the README, in a page of another origin of the same site, as an app on its own port. */

const testMs = 240_000
const readme = await Bun.file('README.md').text()
const loop =
  /^\*\*Sign in from a browser app\.[\s\S]*?^```js\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? ''

type Loop = {
  signIn: (email: string, password: string) => Promise<Response>
  signOut: () => Promise<Response>
  call: (path: string, options?: RequestInit) => Promise<Response>
}
type Page = typeof globalThis & { app: Loop; document: { cookie: string } }

/** Each runs in the page, and sees nothing of this file. */
const inPage = {
  signUpAndIn: async ({ origin, email, password }: Record<string, string>) => {
    const { app, document } = globalThis as unknown as Page
    await fetch(`${origin}/api/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    })
    const { status } = await app.signIn(`${email}`, `${password}`)
    return [status, document.cookie]
  },
  statuses: async (count: number) => {
    const { app } = globalThis as Page
    const answers = await Promise.all(Array.from({ length: count }, () => app.call('/api/tasks')))
    return answers.map(({ status }) => status)
  },
  signOut: async () => (await (globalThis as Page).app.signOut()).status,
}

describe.skipIf(missing !== '')(`in Chromium ${missing}`, () => {
  let pages: Bun.Server<undefined>
  let here: Awaited<ReturnType<typeof listening>>
  let browser: Awaited<ReturnType<typeof browse>>
  let requests: string[]
  beforeAll(async () => {
    const page = `<!doctype html><title>App</title>
      <script type="module">import * as app from '/app.js'; globalThis.app = app</script>`
    pages = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      routes: {
        '/': () => new Response(page, { headers: { 'content-type': 'text/html' } }),
        '/app.js': () =>
          new Response(loop.replace('http://localhost:3000', here.origin), {
            headers: { 'content-type': 'text/javascript' },
          }),
      },
    })
    here = await listening({ CORS_ORIGINS: pages.url.origin })
    browser = await browse(pages.url.origin, here.origin)
    requests = []
    browser.page.on('request', (request) =>
      requests.push(`${request.method()} ${new URL(request.url()).pathname}`),
    )
  }, testMs)
  afterAll(async () => {
    await browser?.close()
    await here?.stop()
    await pages?.stop(true)
  }, testMs)

  const refreshes = () => requests.filter((one) => one === 'POST /api/auth/refresh').length
  const load = async () => {
    const { page } = browser
    await page.goto(pages.url.href)
    await page.waitForFunction(() => 'app' in globalThis)
    requests.length = 0
  }

  test(
    'the loop of the README restores the session after a reload, with one refresh, until sign-out',
    async () => {
      const { page } = browser
      const password = 'correct horse battery'
      const email = `${Bun.randomUUIDv7()}@example.test`

      expect(loop.trim().split('\n').length).toBeLessThan(25)
      await load()
      expect(
        await page.evaluate(inPage.signUpAndIn, { origin: here.origin, email, password }),
      ).toEqual([200, ''])
      expect(await page.evaluate(inPage.statuses, 3)).toEqual([200, 200, 200])
      expect(refreshes()).toBe(0)

      for (const _ of [1, 2]) {
        await load()
        expect(await page.evaluate(inPage.statuses, 5)).toEqual([200, 200, 200, 200, 200])
        expect(refreshes()).toBe(1)
      }

      expect(await page.evaluate(inPage.signOut)).toBe(204)
      await load()
      expect(await page.evaluate(inPage.statuses, 2)).toEqual([401, 401])
    },
    testMs,
  )
})
