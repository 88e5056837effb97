import { setSystemTime } from 'bun:test'
import postgres from 'postgres'
import { readConfig } from '../../src/config/config.ts'
import { openDatabase } from '../../src/db/client.ts'
import { loadTemplate, openPGlite } from '../../src/db/embedded/template.ts'
import { applyMigrations } from '../../src/db/migrations.ts'
import { createMemoryStore } from '../../src/rate-limit/memory.ts'
import { openRateLimitStore } from '../../src/rate-limit/open-store.ts'
import { createPostgresStore } from '../../src/rate-limit/postgres.ts'
import type { RateLimitStore } from '../../src/rate-limit/store.ts'
import { hasRedis, redisServer } from './redis.ts'

/** A rate-limit store that no other test uses. */
export type Store = {
  /** Opens it for one instance of the service. */
  open: () => RateLimitStore
  /** Moves the clock of the store forward (or back). */
  pass: (ms: number) => Promise<void>
  /** All stored keys, also those of expired windows. */
  keys: () => Promise<string[]>
}

/** Long, because the tests are about counts: a busy machine must not cause refusals. */
const timeoutMs = 20_000

const serverUrl = process.env.TEST_DATABASE_URL

/** Creates each kind of store that this machine has, by name. */
export const stores: Record<string, () => Promise<Store>> = {
  memory: async () => {
    const store = createMemoryStore()
    return { open: () => store, pass: passHere, keys: async () => [] }
  },
  'postgres, embedded': () => withPrefix(pglite()),
  ...(serverUrl && { postgres: () => withPrefix(server()) }),
  ...(hasRedis && { redis: () => withPrefix(redis()) }),
}

type Shared = {
  open: () => RateLimitStore
  pass: (ms: number, prefix: string) => Promise<void>
  keys: () => Promise<string[]>
}

/** Separates the keys of the tests that share a store by a prefix. */
const withPrefix = async (shared: Promise<Shared>): Promise<Store> => {
  const { open, pass, keys } = await shared
  const prefix = `${Bun.randomUUIDv7()}/`
  return {
    open: () => {
      const store = open()
      return {
        ...store,
        add: (key, windowMs, limit) => store.add(prefix + key, windowMs, limit),
        decrement: (key) => store.decrement(prefix + key),
        reset: (key) => store.reset(prefix + key),
      }
    },
    pass: pass === passHere ? passHere : (ms) => pass(ms, prefix),
    keys: async () =>
      (await keys()).filter((key) => key.includes(prefix)).map((key) => key.split(prefix)[1] ?? ''),
  }
}

/**
 * A rate-limit store for one service, of the kind in `TEST_RATE_LIMIT_STORE`: `memory`, `postgres` (embedded without a
 * server) or `redis`.
 *
 * Tests move the clock of this process, which a store with a clock of its own does not notice. For such a store, the key
 * is reset when its window ends by the clock of this process. stores.test.ts tests the clocks of the stores.
 */
export const createOwnStore = async (): Promise<RateLimitStore> => {
  const kind = process.env.TEST_RATE_LIMIT_STORE || 'memory'
  const open = stores[kind] ?? stores[`${kind}, embedded`]
  if (open === undefined) throw new Error(`TEST_RATE_LIMIT_STORE: there is no ${kind} here`)
  const store = await open()
  const rateLimitStore = store.open()
  return store.pass === passHere ? rateLimitStore : withLocalWindows(rateLimitStore)
}

const withLocalWindows = (rateLimitStore: RateLimitStore): RateLimitStore => {
  const windows = new Map<string, { resetsAt: number; started: void | Promise<void> }>()
  const openWindow = (key: string) => {
    const known = windows.get(key)
    return known && Date.now() < known.resetsAt ? known : undefined
  }
  const startWindow = (key: string, windowMs: number) => {
    const window = { resetsAt: Date.now() + windowMs, started: rateLimitStore.reset(key) }
    windows.set(key, window)
    return window
  }

  return {
    ...rateLimitStore,
    add: async (key, windowMs, limit) => {
      const { resetsAt, started } = openWindow(key) ?? startWindow(key, windowMs)
      await started
      const { count } = await rateLimitStore.add(key, windowMs, limit)
      return { count, resetsAt }
    },
    decrement: async (key) => {
      if (openWindow(key)) await rateLimitStore.decrement(key)
    },
    reset: async (key) => {
      windows.delete(key)
      await rateLimitStore.reset(key)
    },
  }
}

const passHere = async (ms: number) => void setSystemTime(Date.now() + ms)

const once = <Value>(make: () => Promise<Value>) => {
  let made: Promise<Value> | undefined
  return () => {
    made ??= make()
    return made
  }
}

/** Uses the clock of this process, so `setSystemTime` applies to it. */
const pglite = once(async (): Promise<Shared> => {
  const pglite = await openPGlite({ loadDataDir: await loadTemplate() })
  const run = async (text: string, params: (string | number)[] = []) =>
    (await pglite.query<Record<string, unknown>>(text, params)).rows
  await applyMigrations(run)
  return {
    open: () => createPostgresStore({ run, close: async () => {} }),
    pass: passHere,
    keys: async () => (await run('select key from counters')).map(({ key }) => String(key)),
  }
})

/** The clock of the server cannot be moved, so `pass` moves the windows back. */
const server = once(async (): Promise<Shared> => {
  const { rateLimitStore, database } = readConfig({
    DATABASE_URL: serverUrl,
    RATE_LIMIT_STORE: 'postgres',
    JWT_SECRET: 'a secret that is long enough for the tests',
  })
  const connected = await openDatabase(database)
  await connected.migrate()
  // A direct connection: the test URL may have parameters for a pooler.
  const sql = postgres(process.env.TEST_DIRECT_DATABASE_URL ?? serverUrl ?? '', {
    max: 1,
    onnotice: () => {},
  })
  return {
    open: () => openRateLimitStore(rateLimitStore, timeoutMs),
    pass: async (ms, prefix) => {
      await sql`update counters set resets_at = resets_at - ${ms}::float8 * interval '1 ms' where starts_with(key, ${prefix})`
    },
    keys: async () => (await sql`select key from counters`).map(({ key }) => String(key)),
  }
})

const redis = once(async (): Promise<Shared> => {
  const { url, client } = await redisServer()
  const admin = client()
  const move = `
    for _, key in ipairs(redis.call('KEYS', '*' .. ARGV[1] .. '*')) do
      redis.call('PEXPIREAT', key, redis.call('PEXPIRETIME', key) - tonumber(ARGV[2]))
    end`
  return {
    open: () => openRateLimitStore({ kind: 'redis', url }, timeoutMs),
    pass: async (ms, prefix) => {
      await admin.send('EVAL', [move, '0', prefix, String(ms)])
    },
    keys: () => admin.send('KEYS', ['*']),
  }
})
