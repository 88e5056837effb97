import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { clientPackage } from '../client/package.ts'
import { listening } from '../support/listening.ts'
import { browse, missing } from './chromium.ts'

/* The client package in a page of another origin, which the service lists in CORS_ORIGINS. */

const testMs = 240_000

type Argument = { script: string; baseUrl: string; email: string }

/** Runs in the page. It sees nothing of this file but its argument. */
const scenario = async ({ script, baseUrl, email }: Argument) => {
  const client: typeof import('../../client/src/index.ts') = await import(script)
  const { createClient, createMemoryTokenStore, isProblem } = client
  const reasonOf = (promise: Promise<unknown>) => promise.catch((reason: unknown) => reason)

  const tokens = createMemoryTokenStore()
  const { signUp, signOut, currentUser, tasks } = createClient({ baseUrl, tokens })
  const user = (await signUp({ email, password: 'correct horse battery' }))?.user
  const task = await tasks.create({ title: 'Buy milk', tags: ['shop'] })
  await tasks.batch({ create: [{ title: 'a' }, { title: 'b' }, { title: 'c' }] })
  const changed = await tasks.update(task.id, ({ tags }) => ({ tags: [...tags, 'home'] }))

  const stale = await reasonOf(tasks.update(task, { title: 'x' }))
  const titles: string[] = []
  for await (const { title } of tasks.list({ sort: 'title', limit: 2 })) titles.push(title)
  const reader = (await tasks.export('csv')).body?.pipeThrough(new TextDecoderStream()).getReader()
  const csv = (await reader?.read())?.value

  // A token at the end of its life is refreshed before the request.
  const before = await tokens.get()
  if (before) await tokens.set({ ...before, issuedAt: 0, expiresAt: Date.now() + 1000 })
  const same = (await currentUser()).id === user?.id
  const after = await tokens.get()
  const aborted = await reasonOf(tasks.get(task.id, { signal: AbortSignal.abort() }))
  await signOut()
  const ended = await reasonOf(currentUser())

  return {
    tags: changed.tags,
    stale: isProblem(stale, 'version-mismatch') && stale.currentVersion,
    titles,
    header: csv?.slice(0, 3),
    same,
    refreshed: before?.accessToken !== after?.accessToken,
    aborted: aborted instanceof Error && aborted.name,
    ended: isProblem(ended) && ended.code,
  }
}

describe.skipIf(missing !== '')(`in Chromium ${missing}`, () => {
  let pages: Bun.Server<undefined>
  let here: Awaited<ReturnType<typeof listening>>
  let browser: Awaited<ReturnType<typeof browse>>
  beforeAll(async () => {
    const { folder } = await clientPackage()
    const headers = { 'content-type': 'text/html' }
    pages = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      routes: {
        '/': new Response('<!doctype html><title>Another repository</title>', { headers }),
        '/index.js': new Response(Bun.file(join(folder, 'index.js'))),
      },
    })
    here = await listening({ CORS_ORIGINS: pages.url.origin })
    browser = await browse(pages.url.origin, here.origin)
  }, testMs)
  afterAll(async () => {
    await browser?.close()
    await here?.stop()
    await pages?.stop(true)
  }, testMs)

  test(
    'the client works in a page of another origin, and repeats a lost request',
    async () => {
      const { page } = browser
      const email = `${Bun.randomUUIDv7()}@example.test`
      let lost = 0
      // The first creation reaches the service, and its response is lost.
      await page.route(`${here.origin}/api/tasks`, async (route, request) => {
        if (request.method() !== 'POST' || lost > 0) return route.fallback()
        lost += 1
        await route.fetch()
        return route.abort()
      })

      await page.goto(pages.url.href)
      const script = '/index.js'
      const result = await page.evaluate(scenario, { script, baseUrl: here.origin, email })

      expect(lost).toBe(1)
      expect(result).toEqual({
        tags: ['shop', 'home'],
        stale: 2,
        titles: ['Buy milk', 'a', 'b', 'c'],
        header: 'id,',
        same: true,
        refreshed: true,
        aborted: 'AbortError',
        ended: 'unauthenticated',
      })
      expect(browser.elsewhere).toEqual([])
    },
    testMs,
  )
})
