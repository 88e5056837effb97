import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { listening } from '../support/listening.ts'
import { browse, missing, operationOf } from './chromium.ts'

/*
 * The pages in a real browser that can reach the service only. UPDATE=1 writes docs/swagger-ui.png.
 */

const { version } = await Bun.file('package.json').json()
const picture = join(import.meta.dir, '../../docs/swagger-ui.png')
const testMs = 240_000
/** Pixels of the browser window. */
const screenHeight = 960

describe.skipIf(missing !== '')(`in Chromium ${missing}`, () => {
  let here: Awaited<ReturnType<typeof listening>>
  let browser: Awaited<ReturnType<typeof browse>>
  beforeAll(async () => {
    here = await listening()
    browser = await browse(here.origin)
  }, testMs)
  afterAll(async () => {
    await browser?.close()
    await here?.stop()
  }, testMs)

  /** No request went to another host, and the console is empty. */
  const isQuiet = () => {
    expect(browser.elsewhere).toEqual([])
    expect(browser.complaints).toEqual([])
  }

  test(
    'a user signs in at /docs, and adds, completes and lists a task',
    async () => {
      const { email, password, call } = await here.someone()
      const { page } = browser

      await page.goto(`${here.origin}/docs`)
      await page.getByRole('button', { name: 'Authorize', exact: true }).click()
      await page.locator('#oauth_username').fill(email)
      await page.locator('#oauth_password').fill(password)
      await page.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click()
      // The button, not the word: the description of the refresh token contains it too.
      await page.getByRole('button', { name: 'Remove authorization' }).waitFor()
      await page.locator('.close-modal').click()
      if (process.env.UPDATE === '1') {
        await page.locator('#operations-tag-Tasks').evaluate((tag) => tag.scrollIntoView())
        await page.mouse.move(0, 0)
        await page.screenshot({ path: picture })
      }

      const create = operationOf(page.locator('#operations-Tasks-createTask'))
      await create.open()
      await create.write({ title: 'Buy milk', tags: ['home'] })
      const created = await create.send()
      const complete = operationOf(page.locator('#operations-Tasks-completeTask'))
      await complete.open()
      await complete.fill('id', created.body.id)
      await complete.write({ completed: true })
      const completed = await complete.send()
      const list = operationOf(page.locator('#operations-Tasks-listTasks'))
      await list.open()
      const listed = await list.send()

      const { body } = await call('GET', '/api/tasks')
      expect([created.status, completed.status, listed.status]).toEqual([201, 200, 200])
      expect(completed.body).toEqual({ success: true, completed: true })
      expect(listed.body).toEqual(body)
      expect(body.tasks).toMatchObject([{ title: 'Buy milk', completed: true, tags: ['home'] }])
      isQuiet()
    },
    testMs,
  )

  test(
    'the Authorize dialog shows e-mail and password first, and an expanded operation takes at most two screens',
    async () => {
      const { page } = browser
      await page.goto(`${here.origin}/docs`)
      await page.getByRole('button', { name: 'Authorize', exact: true }).click()
      const first = page.locator('.modal-ux .auth-container').first()
      await first.locator('#oauth_username').waitFor()
      await first.locator('#oauth_password').waitFor()
      await page.locator('.close-modal').click()

      const blocks = await page.locator('.opblock').all()
      const heights: [string | null, number][] = []
      for (const block of blocks) {
        await block.locator('.opblock-summary-control').click()
        await block.locator('.responses-wrapper').waitFor()
        const { height = Number.NaN } = (await block.boundingBox()) ?? {}
        heights.push([await block.getAttribute('id'), height])
        await block.locator('.opblock-summary-control').click()
      }

      expect(heights.length).toBeGreaterThan(30)
      expect(heights.filter(([, height]) => !(height <= 2 * screenHeight))).toEqual([])
      isQuiet()
    },
    testMs,
  )

  test(
    'links lead from / to a problem page and back to the documentation',
    async () => {
      const { page } = browser

      await page.goto(here.origin)
      await page.getByRole('heading', { name: `Taskwarden ${version}` }).waitFor()
      await page.getByRole('link', { name: 'Problems' }).click()
      await page.getByRole('link', { name: 'version-mismatch' }).click()
      await page.getByRole('heading', { name: 'The task or list has changed' }).waitFor()
      // The policy allows the page's own style: without the style, the page has no maximum width.
      const width = await page.evaluate('getComputedStyle(document.body).maxWidth')
      await page.getByRole('link', { name: 'Documentation' }).click()
      await page.locator('#operations-Tasks-createTask').waitFor()

      expect(width).toBe('704px')
      isQuiet()
    },
    testMs,
  )

  test(
    'requests to other hosts and console messages are detected',
    async () => {
      const { page, elsewhere, complaints } = browser

      const other = await page.context().newPage()
      await other.goto('https://example.com/').catch(() => undefined)
      await page.goto(`${here.origin}/health`)
      await page.evaluate(() => fetch('/ready').catch(() => undefined))

      expect(elsewhere).toEqual(['https://example.com/'])
      expect(complaints.join()).toContain('Content Security Policy')
    },
    testMs,
  )
})

test('docs/swagger-ui.png is a PNG file of limited size', async () => {
  expect(existsSync(picture)).toBe(true)
  const bytes = await Bun.file(picture).bytes()

  expect(Buffer.from(bytes.subarray(1, 4)).toString()).toBe('PNG')
  expect(bytes.length).toBeLessThan(200_000)
})
