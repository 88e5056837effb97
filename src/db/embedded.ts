import { type PGlite, type QueryOptions, types } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import type { Database, StatementObserver } from './client.ts'
import { DataDirectoryDamaged, takeDataDirectory } from './data-directory.ts'
import { deadlineAfter } from './deadline.ts'
import { runRead } from './faults.ts'
import { applyMigrations, readMigrationStatus, type SendInTransaction } from './migrations.ts'
import { allowance } from './patience.ts'
import { openPGlite, template } from './template.ts'
import { turns } from './turns.ts'

export type EmbeddedSettings = {
  kind: 'embedded'
  /** Undefined: in memory. */
  dataDir: string | undefined
  /** How long a statement may wait for its turn; one that runs blocks the loop and cannot be stopped. */
  timeoutMs: number
}

/** Instants are left as PostgreSQL writes them: a column of ours reads them. */
const inArrays: QueryOptions = {
  rowMode: 'array',
  parsers: { [types.TIMESTAMPTZ]: (text: string) => text },
}

/** PGlite has no autovacuum: without statistics it sorts a whole table for one page of a filtered list. */
const analyzeEveryMs = 600_000
const firstAnalyzeMs = 60_000

/** PGlite in this process, one statement at a time; `DataDirectoryInUse` where another process has it. */
export const openEmbedded = async (
  { dataDir, timeoutMs }: EmbeddedSettings,
  observe?: StatementObserver,
): Promise<Database> => {
  const directory = dataDir === undefined ? undefined : await takeDataDirectory(dataDir)
  const release = async () => directory?.release()
  const pglite = await open(directory?.cluster).catch(async (error) => {
    await release()
    throw dataDir === undefined ? error : new DataDirectoryDamaged(dataDir)
  })
  const { enter, wait, leave, refuseAll, state } = turns(1)
  let analyzeAt = performance.now() + firstAnalyzeMs

  /** In the wake of a statement and in its turn, so that a process that nobody uses does nothing. */
  const analyzeWhenDue = async () => {
    if (performance.now() < analyzeAt) return
    analyzeAt = performance.now() + analyzeEveryMs
    await query('analyze').catch(() => {})
  }

  const inTurn = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    const deadline = deadlineAfter(Math.max(0, allowance(timeoutMs).leftMs))
    try {
      if (!enter()) await wait(deadline)
      return await run().finally(() => void analyzeWhenDue().finally(leave))
    } finally {
      deadline.clear()
    }
  }
  const query = pglite.query.bind(pglite)
  const client = Object.assign(pglite, {
    query: <Row>(text: string, params?: unknown[], options?: QueryOptions) =>
      inTurn(() => query<Row>(text, params, options)),
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
    migrationStatus: () => readMigrationStatus(sendBy(pglite)),
    close: async () => {
      refuseAll()
      await pglite.close()
      await release()
    },
  }
}

const open = async (cluster: string | undefined) =>
  openPGlite(cluster === undefined ? { loadDataDir: await template() } : { dataDir: cluster })

const migrate = (pglite: PGlite) => pglite.transaction((tx) => applyMigrations(sendBy(tx)))

const sendBy =
  (client: Pick<PGlite, 'query'>): SendInTransaction =>
  async (text, params) =>
    (await client.query<Record<string, unknown>>(text, params)).rows
