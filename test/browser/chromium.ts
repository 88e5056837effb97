import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Locator } from 'playwright-core'

const named = process.env.CHROMIUM
const installed = ['chromium', 'chromium-browser', 'google-chrome'].flatMap(
  (name) => Bun.which(name) ?? [],
)
/** The browser in CHROMIUM, or an installed one. If CHROMIUM names a missing one, the tests fail. */
const executable = named || installed[0]

if (named && Bun.which(named) === null) {
  console.error(`CHROMIUM: there is no program ${named}`)
  process.exit(1)
}

/** The reason why the tests cannot run, for their names. */
export const missing =
  executable === undefined ? 'skipped: no Chromium is installed, and CHROMIUM names none' : ''

/** The timeout of a wait for a state: long, because the machine may be busy. */
const timeoutMs = 90_000

/**
 * A browser that can reach only these origins. It records requested hosts and console messages. Its process and profile
 * are removed at the end.
 */
export const browse = async (...origins: string[]) => {
  const profile = await mkdtemp(join(tmpdir(), 'taskwarden-browser-'))
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath: executable ?? '',
    viewport: { width: 1280, height: 960 },
    timeout: timeoutMs,
    // Chromium reports, updates and predicts by itself: no host name resolves.
    args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--disable-gpu'],
  })
  context.setDefaultTimeout(timeoutMs)

  const elsewhere: string[] = []
  const complaints: string[] = []
  await context.route(
    (url) => !origins.includes(url.origin) && url.protocol !== 'data:',
    (route, request) => {
      elsewhere.push(request.url())
      return route.abort()
    },
  )
  context.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  context.on('weberror', (thrown) => complaints.push(String(thrown.error())))
  context.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`))

  return {
    page: context.pages()[0] ?? (await context.newPage()),
    elsewhere,
    complaints,
    close: async () => {
      await context.close()
      await rm(profile, { recursive: true, force: true })
    },
  }
}

/** An operation in Swagger UI, used like a person uses it: expand, fill in, execute, read. */
export const operationOf = (block: Locator) => ({
  open: async () => {
    await block.locator('.opblock-summary-control').click()
    await block.getByRole('button', { name: 'Try it out' }).click()
  },
  fill: (name: string, value: string) =>
    block.locator(`tr[data-param-name="${name}"] input`).fill(value),
  write: (body: unknown) => block.locator('.body-param__text').fill(JSON.stringify(body)),
  /** Executes it, and returns the status and the body on the page. */
  send: async () => {
    await block.getByRole('button', { name: 'Execute' }).click()
    const answer = block.locator('.live-responses-table .response')
    const status = await answer.locator('.response-col_status').textContent()
    const text = await answer.locator('.highlight-code code').first().textContent()
    return { status: Number(status), body: JSON.parse(text ?? '') }
  },
})
