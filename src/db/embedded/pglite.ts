import { type PGlite, type QueryOptions, types } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import type { Database, StatementObserver } from '../database.ts'
import { runRead } from '../errors.ts'
import { applyMigrations, readMigrationStatus, type SendInTransaction } from '../migrations.ts'
import { createDeadline } from '../pool/deadline.ts'
import { createSemaphore } from '../pool/semaphore.ts'
import { currentTimeBudget } from '../pool/time-budget.ts'
import { DataDirectoryDamaged, lockDataDirectory } from './data-directory.ts'
import { loadTemplate, openPGlite } from './template.ts'

export type EmbeddedSettings = {
  kind: 'embedded'
  /** In memory if undefined. */
  dataDir: string | undefined
  /** How long a statement may wait. A running statement blocks the event loop and cannot be stopped. */
  timeoutMs: number
}

/** Timestamps stay as PostgreSQL prints them: `timestamp` in columns.ts converts them. */
const inArrays: QueryOptions = {
  rowMode: 'array',
  parsers: { [types.TIMESTAMPTZ]: (text: string) => text },
}

/** PGlite has no autovacuum. Without statistics it sorts a whole table for one page of a filtered list. */
const analyzeEveryMs = 600_000
const firstAnalyzeMs = 60_000

/** Opens PGlite in this process, which runs one statement at a time. `DataDirectoryInUse` if another process has it. */
export const openEmbedded = async (
  { dataDir, timeoutMs }: EmbeddedSettings,
  observe?: StatementObserver,
): Promise<Database> => {
  const directory = dataDir === undefined ? undefined : await lockDataDirectory(dataDir)
  const unlock = async () => directory?.release()
  const pglite = await open(directory?.cluster).catch(async (error) => {
    await unlock()
    throw dataDir === undefined ? error : new DataDirectoryDamaged(dataDir)
  })
  const { tryAcquire, acquire, release, rejectAll, state } = createSemaphore(1)
  let analyzeAt = performance.now() + firstAnalyzeMs

  /** Runs after a statement, before the next, so that an idle process does nothing. */
  const analyzeWhenDue = async () => {
    if (performance.now() < analyzeAt) return
    analyzeAt = performance.now() + analyzeEveryMs
    await query('analyze').catch(() => {})
  }

  const runExclusive = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    const deadline = createDeadline(Math.max(0, currentTimeBudget(timeoutMs).leftMs))
    try {
      if (!tryAcquire()) await acquire(deadline)
      return await run().finally(() => void analyzeWhenDue().finally(release))
    } finally {
      deadline.clear()
    }
  }
  const query = pglite.query.bind(pglite)
  const client = Object.assign(pglite, {
    query: <Row>(text: string, params?: unknown[], options?: QueryOptions) =>
      runExclusive(() => query<Row>(text, params, options)),
    arrays: async (text: string, values: unknown[]) => {
      observe?.(text, values)
      const { rows } = await client.query<unknown[]>(text, values, inArrays)
      return rows
    },
  })
  const logger = observe && { logQuery: observe }
  const db = drizzle(client, { casing: 'snake_case', ...(logger && { logger }) })

  return {
    db,
    kind: 'embedded',
    pool: state,
    ping: async () => {
      await runRead(() => client.query('select 1'))
    },
    migrate: () => migrate(pglite),
    migrationStatus: () => readMigrationStatus(createSend(pglite)),
    dump: () =>
      runExclusive(async () => {
        await query('checkpoint')
        return pglite.dumpDataDir('none')
      }),
    close: async () => {
      rejectAll()
      await pglite.close()
      await unlock()
    },
  }
}

const open = async (cluster: string | undefined) =>
  openPGlite(cluster === undefined ? { loadDataDir: await loadTemplate() } : { dataDir: cluster })

const migrate = (pglite: PGlite) => pglite.transaction((tx) => applyMigrations(createSend(tx)))

const createSend =
  (client: Pick<PGlite, 'query'>): SendInTransaction =>
  async (text, params) =>
    (await client.query<Record<string, unknown>>(text, params)).rows
