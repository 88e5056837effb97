import { afterAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { createReadinessCheck } from '../../src/cli/readiness.ts'
import { DatabaseUnavailable } from '../../src/db/errors.ts'
import { createLog } from '../../src/log.ts'
import { openRateLimitStore } from '../../src/rate-limit/open-store.ts'
import { RateLimitStoreUnavailable } from '../../src/rate-limit/store.ts'
import { serverUrl } from '../support/databases.ts'
import { database, service } from '../support/service.ts'

/* The runbook in docs/operations.md. */

const page = await Bun.file('docs/operations.md').text()
const statement = (name: string) =>
  new RegExp(`\`\`\`sql ${name}\n([^\`]+)\`\`\``).exec(page)?.[1] ?? ''

test('a missing store is logged once with its reason, and so is its return', async () => {
  const lines: Record<string, unknown>[] = []
  const down = { database: false, rateLimitStore: false }
  const isReady = createReadinessCheck({
    database: {
      ping: async () => {
        if (down.database) throw new DatabaseUnavailable('ECONNREFUSED')
      },
    },
    rateLimitStore: {
      ping: async () => {
        if (down.rateLimitStore) throw new RateLimitStoreUnavailable('unreachable')
      },
    },
    log: createLog((line) => lines.push(JSON.parse(line)), 'info'),
  })
  const asked = async () => [await isReady(), await isReady()]

  expect(await asked()).toEqual([true, true])
  down.database = true
  expect(await asked()).toEqual([false, false])
  Object.assign(down, { database: false, rateLimitStore: true })
  expect(await asked()).toEqual([false, false])
  down.rateLimitStore = false
  expect(await asked()).toEqual([true, true])

  expect(lines.map(({ event, missing, reason }) => [event, missing, reason])).toEqual([
    ['not ready', 'database', expect.stringMatching(/no server listens there.*\(ECONNREFUSED\)$/)],
    ['not ready', 'limits', 'RATE_LIMIT_STORE does not respond (unreachable)'],
    ['ready again', undefined, undefined],
  ])
})

describe.skipIf(!serverUrl)('statements for PostgreSQL', () => {
  const admin = postgres(serverUrl ?? '', { max: 1, onnotice: () => {} })
  afterAll(() => admin.end())

  test('the documented statement unlocks a user', async () => {
    await database()
    const rateLimitStore = openRateLimitStore(
      { kind: 'postgres', url: serverUrl ?? '', prepare: 'auto' },
      20_000,
    )
    const { call, someone } = await service({ LOGIN_ATTEMPTS: '2' }, { rateLimitStore })
    const [ada, bob] = [await someone(), await someone()]
    const login = async (email: string, password: string) =>
      (await call('POST', '/api/auth/login', { body: { email, password } })).status
    for (const { email } of [ada, ada, bob, bob]) await login(email, 'wrong')
    expect([await login(ada.email, ada.password), await login(bob.email, bob.password)]).toEqual([
      429, 429,
    ])

    await admin.unsafe(statement('unlock').replace('ada@example.test', ada.email))

    expect([await login(ada.email, ada.password), await login(bob.email, bob.password)]).toEqual([
      200, 429,
    ])
    await rateLimitStore.close()
  })

  test('the documented statement for blocked sessions runs', async () => {
    const rows = await admin.unsafe(statement('blocked'))

    expect(rows.some(({ query }) => String(query).includes('pg_blocking_pids'))).toBe(true)
  })
})
