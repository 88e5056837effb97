import { afterAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { readinessOf } from '../src/commands/readiness.ts'
import { CountersUnavailable } from '../src/counters/counters.ts'
import { openCounters } from '../src/counters/store.ts'
import { DatabaseUnavailable } from '../src/db/faults.ts'
import { logTo } from '../src/http/log.ts'
import { serverUrl } from './db/databases.ts'
import { database, service } from './service.ts'

/* What docs/operations.md tells whoever is woken up. */

const page = await Bun.file('docs/operations.md').text()
const statement = (name: string) =>
  new RegExp(`\`\`\`sql ${name}\n([^\`]+)\`\`\``).exec(page)?.[1] ?? ''

test('what is missing is said once, with why, and that it is back', async () => {
  const lines: Record<string, unknown>[] = []
  const down = { database: false, counters: false }
  const isReady = readinessOf({
    database: {
      ping: async () => {
        if (down.database) throw new DatabaseUnavailable('ECONNREFUSED')
      },
    },
    counters: {
      ping: async () => {
        if (down.counters) throw new CountersUnavailable('unreachable')
      },
    },
    log: logTo((line) => lines.push(JSON.parse(line)), 'info'),
  })
  const asked = async () => [await isReady(), await isReady()]

  expect(await asked()).toEqual([true, true])
  down.database = true
  expect(await asked()).toEqual([false, false])
  Object.assign(down, { database: false, counters: true })
  expect(await asked()).toEqual([false, false])
  down.counters = false
  expect(await asked()).toEqual([true, true])

  expect(lines.map(({ event, missing, reason }) => [event, missing, reason])).toEqual([
    ['not ready', 'database', expect.stringMatching(/nothing listens there.*\(ECONNREFUSED\)$/)],
    ['not ready', 'limits', 'RATE_LIMIT_STORE does not answer (unreachable)'],
    ['ready again', undefined, undefined],
  ])
})

describe.skipIf(!serverUrl)('on PostgreSQL', () => {
  const admin = postgres(serverUrl ?? '', { max: 1, onnotice: () => {} })
  afterAll(() => admin.end())

  test('who is locked out gets in again by the statement of the page', async () => {
    await database()
    const counters = openCounters(
      { kind: 'postgres', url: serverUrl ?? '', prepare: 'auto' },
      20_000,
    )
    const { call, someone } = await service({ LOGIN_ATTEMPTS: '2' }, { counters })
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
    await counters.close()
  })

  test('the statement about what is blocked runs', async () => {
    const rows = await admin.unsafe(statement('blocked'))

    expect(rows.some(({ query }) => String(query).includes('pg_blocking_pids'))).toBe(true)
  })
})
