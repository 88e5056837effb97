import { describe, expect, test } from 'bun:test'
import { DrizzleQueryError, eq } from 'drizzle-orm'
import { type Database, only } from '../../src/db/database.ts'
import { DatabaseUnavailable, runRead, runWrite, violatesConstraint } from '../../src/db/errors.ts'
import { sessions, users } from '../../src/db/schema.ts'
import { inMemory, onPostgres, person, serverUrl } from '../support/databases.ts'

const failing = (code: string) => {
  let calls = 0
  const run = async () => {
    calls++
    throw new DrizzleQueryError(
      'select secret',
      ['s3cret'],
      Object.assign(new Error(code), { code }),
    )
  }
  return { run, calls: () => calls }
}

test.each(['57P01', 'CONNECTION_CLOSED', 'ECONNREFUSED', '08006'])(
  'a read that lost its connection (%s) is run once more, a write is not',
  async (code) => {
    const read = failing(code)
    const write = failing(code)
    await expect(runRead(read.run)).rejects.toBeInstanceOf(DatabaseUnavailable)
    await expect(runWrite(write.run)).rejects.toBeInstanceOf(DatabaseUnavailable)
    expect([read.calls(), write.calls()]).toEqual([2, 1])
  },
)

test.each(['40P01', '40001'])('a write that was undone (%s) is run once more', async (code) => {
  const write = failing(code)
  await expect(runWrite(write.run)).rejects.toBeInstanceOf(DatabaseUnavailable)
  expect(write.calls()).toBe(2)
})

test.each(['53300', '57P03', '57014', '55000'])('%s is unavailable at once', async (code) => {
  const read = failing(code)
  await expect(runRead(read.run)).rejects.toMatchObject({ code })
  expect(read.calls()).toBe(1)
})

test('a bug passes through unchanged; DatabaseUnavailable has neither SQL nor parameters', async () => {
  const bug = await runRead(failing('42703').run).catch((error) => error)
  expect(bug).toBeInstanceOf(DrizzleQueryError)

  const gone = await runRead(failing('57P01').run).catch((error) => error)
  expect(Bun.inspect(gone)).not.toContain('secret')
  expect(gone.cause).toBeUndefined()
})

const drivers = {
  embedded: async () => {
    const database = await inMemory()
    return { database, [Symbol.asyncDispose]: () => database.close() }
  },
  ...(serverUrl && { postgres: () => onPostgres() }),
}

describe.each(Object.entries(drivers))('%s', (_name, open) => {
  const add = (database: Database, row: typeof users.$inferInsert) =>
    runWrite(() => database.db.insert(users).values(row))

  test('a violation is recognised by its constraint; timestamps are read as they were written', async () => {
    await using one = await open()
    const { database } = one
    await database.migrate()
    const ada = person()
    await add(database, ada)

    const twice = await add(database, { ...person(), email: ada.email }).catch((error) => error)
    expect(violatesConstraint(twice, 'users_email')).toBe(true)
    expect(violatesConstraint(twice, 'users_pkey')).toBe(false)

    const now = ada.created_at
    const orphan = { user_id: Bun.randomUUIDv7(), id: ada.id, kind: 'personal', scope: '' } as const
    const times = { created_at: now, expires_at: now, last_seen_at: now }
    const missing = await runWrite(() =>
      database.db.insert(sessions).values({ ...orphan, ...times }),
    ).catch((error) => error)
    expect(violatesConstraint(missing, 'sessions_user_id_users_id_fk')).toBe(true)

    for (const created_at of [
      '0001-01-01T00:00:00.000Z',
      '9999-12-31T23:59:59.999Z',
      '2026-07-01T12:00:00.100Z',
      '2026-07-01T12:00:00.007Z',
    ]) {
      const row = { ...person(), created_at }
      await add(database, row)
      const found = only(await database.db.select().from(users).where(eq(users.id, row.id)))
      expect(found.created_at).toBe(created_at)
    }
  })
})
