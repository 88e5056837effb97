import { expect } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { openDatabase } from '../../src/db/client.ts'
import type { Database, Db, StatementObserver } from '../../src/db/database.ts'
import { loadTemplate } from '../../src/db/embedded/template.ts'
import { DatabaseUnavailable, runWrite } from '../../src/db/errors.ts'
import { users } from '../../src/db/schema.ts'

// Created once, because it takes seconds.
await loadTemplate()

/**
 * The URL of a superuser on a disposable server; without it only PGlite is tested. It is a direct connection, because
 * these tests are about connections: `TEST_DATABASE_URL` may name a pooler.
 */
export const serverUrl = process.env.TEST_DIRECT_DATABASE_URL ?? process.env.TEST_DATABASE_URL

type Options = {
  poolMax?: number
  timeoutMs?: number
  observe?: StatementObserver
  /** The port of a proxy to use. Migrations use a direct connection. */
  via?: number
}

/** The port that the test server listens on. */
export const serverPort = () => Number(new URL(serverUrl!).port || 5432)

/** Creates a database on the test server, and drops it at the end. */
export const onPostgres = async (options: Options = {}) => {
  const admin = postgres(serverUrl!, { max: 1, onnotice: () => {} })
  const name = `test_${Bun.randomUUIDv7().replaceAll('-', '')}`
  await admin.unsafe(`create database ${name}`)
  const url = new URL(serverUrl!)
  url.pathname = `/${name}`
  const { poolMax = 4, timeoutMs = 5_000, observe, via } = options
  const used = new URL(url)
  if (via !== undefined) used.port = String(via)
  const open = () =>
    openDatabase(
      {
        kind: 'postgres',
        url: used.href,
        migrationUrl: url.href,
        poolMax,
        timeoutMs,
        prepare: 'auto',
      },
      observe,
    )
  const database = await open()
  return {
    admin,
    name,
    url: url.href,
    database,
    open,
    async [Symbol.asyncDispose]() {
      await database.close()
      await admin.unsafe(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}

export const inMemory = async (
  observe?: StatementObserver,
): Promise<Database & AsyncDisposable> => {
  const database = await openDatabase(
    { kind: 'embedded', dataDir: undefined, timeoutMs: 5_000 },
    observe,
  )
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() })
}

export const directory = () => {
  const path = mkdtempSync(join(tmpdir(), 'taskwarden-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** Polls until the condition is true, for states of a server that no event reports. */
export const until = async (condition: () => Promise<boolean>) => {
  while (!(await condition())) await Bun.sleep(5)
}

/** Concurrent writers that run until `lost` is called. They collect acknowledged ids, and accept no error but a 503. */
export const writers = (db: Db, count: number) => {
  const acknowledged: string[] = []
  let over = false
  const write = async () => {
    while (!over) {
      const mine = person()
      await runWrite(() => db.insert(users).values(mine)).then(
        () => acknowledged.push(mine.id),
        (error) => expect(error).toBeInstanceOf(DatabaseUnavailable),
      )
    }
  }
  const load = Promise.all(Array.from({ length: count }, write))
  return {
    acknowledged,
    /** Stops the writers, and returns the acknowledged ids that are not stored. */
    async lost() {
      over = true
      await load
      const kept = new Set((await db.select({ id: users.id }).from(users)).map(({ id }) => id))
      return acknowledged.filter((id) => !kept.has(id))
    },
  }
}

/** A unique row of `users`. */
export const person = () => ({
  id: Bun.randomUUIDv7(),
  email: `${Bun.randomUUIDv7()}@example.test`,
  password_hash: 'x',
  created_at: '2026-01-02T03:04:05.678Z',
})
