import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { listening } from '../support/listening.ts'
import { type Smtp, startSmtp } from '../support/smtp.ts'
import { browse, missing } from './chromium.ts'

/* The pages that mailed links lead to. SCREENSHOTS=folder keeps pictures of them. */

const testMs = 240_000
const password = 'correct horse battery'
const newPassword = 'wrong donkey power plant'

describe.skipIf(missing !== '')(`in Chromium ${missing}`, () => {
  let smtp: Smtp
  let here: Awaited<ReturnType<typeof listening>>
  let browser: Awaited<ReturnType<typeof browse>>
  beforeAll(async () => {
    smtp = await startSmtp()
    here = await listening({ ...smtp.env, EMAIL_VERIFICATION: 'required' })
    browser = await browse(here.origin)
  }, testMs)
  afterAll(async () => {
    await browser?.close()
    await here?.stop()
    await smtp?.stop()
  }, testMs)

  const post = (path: string, body: object) => here.call('POST', path, { body })
  const signIn = async (email: string, text: string) =>
    (await post('/api/auth/login', { email, password: text })).status
  /** Signs up, and returns the fragment of the mailed link. */
  const signUp = async () => {
    const email = `${Bun.randomUUIDv7()}@example.test`
    await post('/api/auth/register', { email, password })
    await here.sendMail()
    return { email, fragment: fragmentFor(email) }
  }
  const fragmentFor = (email: string) =>
    /#token=[\w-]{64}/.exec(smtp.mailsTo(email).at(-1)?.text ?? '')?.[0] ?? ''

  test(
    'the link fills in the code, which is then neither visible nor in the history, and works',
    async () => {
      const { page } = browser
      const { email, fragment } = await signUp()

      await page.goto(`${here.origin}/account/verify${fragment}`)
      expect(page.url()).toBe(`${here.origin}/account/verify`)
      expect(await page.locator('input[name=token]').isVisible()).toBe(false)
      expect(await signIn(email, password)).toBe(403)
      await page.locator('button').click()
      await page.waitForSelector('text=is confirmed')
      expect(await signIn(email, password)).toBe(200)

      await post('/api/auth/password/forgot', { email })
      await here.sendMail()
      await page.goto(`${here.origin}/account/reset${fragmentFor(email)}`)
      await page.locator('input[name=new_password]').fill('password')
      await page.locator('button').click()
      await page.waitForSelector('[role=alert]')
      await page.locator('input[name=new_password]').fill(newPassword)
      await page.locator('button').click()
      await page.waitForSelector('text=was changed')
      expect(await signIn(email, newPassword)).toBe(200)
      expect(browser.elsewhere).toEqual([])
      // The 422 of the weak password.
      expect(browser.complaints.filter((one) => !one.includes('422'))).toEqual([])
    },
    testMs,
  )

  test(
    'without scripts, on a phone and in dark mode, the page asks for the code',
    async () => {
      const { email, fragment } = await signUp()
      const { page } = browser
      await page.setViewportSize({ width: 390, height: 844 })
      for (const colorScheme of ['light', 'dark'] as const)
        for (const name of ['reset', 'verify']) {
          await page.emulateMedia({ colorScheme })
          await page.goto(`${here.origin}/account/${name}`)
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
          const { SCREENSHOTS } = process.env
          if (SCREENSHOTS)
            await page.screenshot({ path: `${SCREENSHOTS}/${name}-${colorScheme}.png` })
        }

      // A policy without scripts is what a browser without scripts does.
      await page.route(/account\/verify/, async (route) => {
        const response = await route.fetch()
        const body = (await response.text()).replace(/<script>[\s\S]*<\/script>/, '')
        await route.fulfill({ response, body })
      })
      await page.goto(`${here.origin}/account/verify${fragment}`)
      expect(await page.locator('input[name=token]').isVisible()).toBe(true)
      await page.locator('input[name=token]').fill(fragment.replace('#token=', ''))
      await page.locator('button').click()
      await page.waitForSelector('text=is confirmed')
      expect(await signIn(email, password)).toBe(200)
    },
    testMs,
  )
})
