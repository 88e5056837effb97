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

/** Counters that are nobody else's. */
export type Store = {
  /** What one instance of the service has of it. */
  open: () => RateLimitStore
  /** Moves the store's clock on (or back). */
  pass: (ms: number) => Promise<void>
  /** Every key that it holds, those of expired windows too. */
  keys: () => Promise<string[]>
}

/** What is tested here are counts: a machine that has other things to do must not turn them into refusals. */
const patienceMs = 20_000

const serverUrl = process.env.TEST_DATABASE_URL

/** By its name, how each kind of store is had; one that this machine cannot have is left out. */
export const stores: Record<string, () => Promise<Store>> = {
  memory: async () => {
    const store = createMemoryStore()
    return { open: () => store, pass: passHere, keys: async () => [] }
  },
  'postgres, embedded': () => ofPrefix(pglite()),
  ...(serverUrl && { postgres: () => ofPrefix(server()) }),
  ...(hasRedis && { redis: () => ofPrefix(redis()) }),
}

type Shared = {
  open: () => RateLimitStore
  pass: (ms: number, prefix: string) => Promise<void>
  keys: () => Promise<string[]>
}

/** What all tests share is kept apart by a prefix. */
const ofPrefix = async (shared: Promise<Shared>): Promise<Store> => {
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
 * Counters of one service, of the kind that `TEST_RATE_LIMIT_STORE` says: `memory`, `postgres` (embedded, without a
 * server) or `redis`.
 *
 * A test moves time by this process's clock, of which a store that has its own knows nothing. There windows
 * are turned by hand: at their end by this clock the key is forgotten. What the store's own clock does
 * is what stores.test.ts is about.
 */
export const ownCounters = async (): Promise<RateLimitStore> => {
  const kind = process.env.TEST_RATE_LIMIT_STORE || 'memory'
  const open = stores[kind] ?? stores[`${kind}, embedded`]
  if (open === undefined) throw new Error(`TEST_RATE_LIMIT_STORE: there is no ${kind} here`)
  const store = await open()
  const rateLimitStore = store.open()
  return store.pass === passHere ? rateLimitStore : turnedByHand(rateLimitStore)
}

const turnedByHand = (rateLimitStore: RateLimitStore): RateLimitStore => {
  const windows = new Map<string, { resetsAt: number; begun: void | Promise<void> }>()
  const openWindow = (key: string) => {
    const known = windows.get(key)
    return known && Date.now() < known.resetsAt ? known : undefined
  }
  const begin = (key: string, windowMs: number) => {
    const window = { resetsAt: Date.now() + windowMs, begun: rateLimitStore.reset(key) }
    windows.set(key, window)
    return window
  }

  return {
    ...rateLimitStore,
    add: async (key, windowMs, limit) => {
      const { resetsAt, begun } = openWindow(key) ?? begin(key, windowMs)
      await begun
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

/** Its clock is this process's: what `setSystemTime` says goes for it too. */
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

/** Its clock cannot be moved: its windows are, the other way. */
const server = once(async (): Promise<Shared> => {
  const { rateLimitStore, database } = readConfig({
    DATABASE_URL: serverUrl,
    RATE_LIMIT_STORE: 'postgres',
    JWT_SECRET: 'a secret that is long enough for the tests',
  })
  const connected = await openDatabase(database)
  await connected.migrate()
  // Past a pooler: its own parameters of the URL are nobody else's.
  const sql = postgres(process.env.TEST_DIRECT_DATABASE_URL ?? serverUrl ?? '', {
    max: 1,
    onnotice: () => {},
  })
  return {
    open: () => openRateLimitStore(rateLimitStore, patienceMs),
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
    open: () => openRateLimitStore({ kind: 'redis', url }, patienceMs),
    pass: async (ms, prefix) => {
      await admin.send('EVAL', [move, '0', prefix, String(ms)])
    },
    keys: () => admin.send('KEYS', ['*']),
  }
})
