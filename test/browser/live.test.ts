import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Page } from 'playwright-core'
import { listening } from '../support/listening.ts'
import { browse, missing } from './chromium.ts'

/* examples/live: the page of the repository, unchanged, with a service of another origin. */

const testMs = 240_000

const rowsAre = (titles: string[]) => `JSON.stringify(
  [...document.querySelectorAll('#tasks li')].map((row) => {
    const [done, title] = row.querySelectorAll('input')
    return (done.checked ? '✓ ' : '') + title.value
  })) === ${JSON.stringify(JSON.stringify(titles))}`

/** The service has confirmed all edits. */
const nothingWaits = "Object.keys(localStorage).every((name) => !name.startsWith('edit:'))"

describe.skipIf(missing !== '')(`in Chromium ${missing}`, () => {
  let pages: Bun.Server<undefined>
  let here: Awaited<ReturnType<typeof listening>>
  let browser: Awaited<ReturnType<typeof browse>>
  let url: string
  beforeAll(async () => {
    pages = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () =>
        new Response(Bun.file('examples/live/index.html'), {
          headers: { 'content-type': 'text/html' },
        }),
    })
    here = await listening({ CORS_ORIGINS: pages.url.origin })
    browser = await browse(pages.url.origin, here.origin)
    url = `${pages.url.href}?api=${here.origin}`
  }, testMs)
  afterAll(async () => {
    await browser?.close()
    await here?.stop()
    await pages?.stop(true)
  }, testMs)

  /** Waits until the page shows these titles, with `✓` before completed ones. */
  const shows = (page: Page, ...titles: string[]) => page.waitForFunction(rowsAre(titles))
  const isLive = (page: Page) =>
    page.waitForFunction("document.getElementById('status').textContent === 'Live'")
  const add = async (page: Page, title: string) => {
    await page.fill('[name=title]', title)
    await page.click('text=Add')
  }

  test(
    'two tabs stay the same, also after one was offline',
    async () => {
      const ada = await here.someone()
      const { page } = browser
      await page.goto(url)
      await page.fill('[name=email]', ada.email)
      await page.fill('[name=password]', ada.password)
      await page.click('text=Sign in')
      await isLive(page)
      const other = await page.context().newPage()
      await other.goto(url)
      await isLive(other)

      await add(page, 'Buy milk')
      await shows(other, 'Buy milk')
      await other.fill('#tasks input[aria-label=Title]', 'Buy oat milk')
      await other.press('#tasks input[aria-label=Title]', 'Enter')
      await other.locator('h1').click()
      await shows(page, 'Buy oat milk')
      await page.check('#tasks input[type=checkbox]')
      await shows(other, '✓ Buy oat milk')

      // A title that is typed while the service creates the task.
      let typed = () => {}
      const typing = new Promise<void>((done) => {
        typed = done
      })
      await page.route('**/api/tasks', async (route) => {
        await typing
        await route.continue()
      })
      await add(page, 'Call')
      await shows(other, '✓ Buy oat milk', 'Call')
      const title = other.locator('#tasks li:last-child input[aria-label=Title]')
      await title.fill('Call Bo')
      typed()
      await shows(page, '✓ Buy oat milk', 'Call')
      await page.waitForFunction(nothingWaits)
      await title.press('Enter')
      await shows(page, '✓ Buy oat milk', 'Call Bo')
      await shows(other, '✓ Buy oat milk', 'Call Bo')
      await page.unroute('**/api/tasks')

      // A change by the other tab while the service creates the task.
      let answer = () => {}
      const asked = new Promise<void>((done) => {
        answer = done
      })
      await page.route('**/api/tasks', async (route) => {
        await asked
        await route.continue()
      })
      await add(page, 'Call Al')
      await shows(other, '✓ Buy oat milk', 'Call Bo', 'Call Al')
      const second = other.locator('#tasks li:last-child input[aria-label=Title]')
      await second.fill('Call Cy')
      await second.press('Enter')
      await shows(page, '✓ Buy oat milk', 'Call Bo', 'Call Cy')
      answer()
      await page.waitForFunction(nothingWaits)
      for (const tab of [page, other]) await shows(tab, '✓ Buy oat milk', 'Call Bo', 'Call Cy')
      await page.unroute('**/api/tasks')
      const { body: found } = await ada.call('GET', '/api/tasks?q=Call')
      expect(found.tasks).toHaveLength(2)
      for (const { id } of found.tasks) await ada.call('DELETE', `/api/tasks/${id}`)

      // Another device.
      const { body } = await ada.call('GET', '/api/tasks')
      const phone = await ada.call('POST', '/api/tasks', { title: 'From the phone' })
      await shows(page, '✓ Buy oat milk', 'From the phone')
      await shows(other, '✓ Buy oat milk', 'From the phone')

      await page.context().setOffline(true)
      await add(page, 'Written offline')
      await page.uncheck('#tasks li:first-child input[type=checkbox]')
      await ada.call('DELETE', `/api/tasks/${phone.body.id}`)
      await shows(page, 'Buy oat milk', 'From the phone', 'Written offline')
      await page.context().setOffline(false)
      for (const tab of [page, other]) await shows(tab, 'Buy oat milk', 'Written offline')
      const { body: stored } = await ada.call('GET', '/api/tasks?sort=created_at')
      expect(stored.tasks.map(({ title }: { title: string }) => title)).toEqual([
        'Buy oat milk',
        'Written offline',
      ])
      expect(stored.tasks[0].id).toBe(body.tasks[0].id)

      // A title that is typed in a tab without a connection, while the task is created by the other tab.
      const protocol = await other.context().newCDPSession(other)
      const network = (offline: boolean) =>
        protocol.send('Network.emulateNetworkConditions', {
          offline,
          latency: 0,
          downloadThroughput: -1,
          uploadThroughput: -1,
        })
      await protocol.send('Network.enable')
      let go = () => {}
      const held = new Promise<void>((done) => {
        go = done
      })
      await page.route('**/api/tasks', async (route) => {
        await held
        await route.continue()
      })
      await network(true)
      await add(page, 'Call')
      await shows(other, 'Buy oat milk', 'Written offline', 'Call')
      const third = other.locator('#tasks li:last-child input[aria-label=Title]')
      await third.fill('Call Ed')
      go()
      await page.waitForFunction(nothingWaits)
      await other.waitForFunction(nothingWaits)
      expect(await third.inputValue()).toBe('Call Ed')
      await third.press('Enter')
      await network(false)
      for (const tab of [page, other])
        await shows(tab, 'Buy oat milk', 'Written offline', 'Call Ed')
      await page.unroute('**/api/tasks')
      const { body: late } = await ada.call('GET', '/api/tasks?q=Call')
      await ada.call('DELETE', `/api/tasks/${late.tasks[0].id}`)
      for (const tab of [page, other]) await shows(tab, 'Buy oat milk', 'Written offline')

      await other.close()
      await page.reload()
      await isLive(page)
      await shows(page, 'Buy oat milk', 'Written offline')
    },
    testMs,
  )

  test(
    'it fits a phone, and signs out',
    async () => {
      const { page } = browser
      await page.setViewportSize({ width: 390, height: 844 })
      const width = await page.evaluate('document.documentElement.scrollWidth')
      expect(width).toBeLessThanOrEqual(390)
      await page.click('#sign-out')
      await page.waitForSelector('#sign-in:not([hidden])')
      expect(await page.evaluate('localStorage.length')).toBe(0)
      expect(browser.elsewhere).toEqual([])
    },
    testMs,
  )
})
