import { describe, expect, test } from 'bun:test'
import type { Db } from '../../src/db/database.ts'
import { createLog, type LogFields } from '../../src/log.ts'
import { openNotifications } from '../../src/notifications/open.ts'
import { onPostgres, serverUrl, until } from '../support/databases.ts'
import { hasRedis, redisServer } from '../support/redis.ts'

type Config = Parameters<typeof openNotifications>[0]['config']

/** An instance with one subscriber. */
const listen = (config: Config, db: Db) => {
  const log: LogFields[] = []
  const logger = createLog((line) => log.push(JSON.parse(line)), 'debug')
  const notifications = openNotifications({ config, db, log: logger })
  const woken = { count: 0 }
  const userId = Bun.randomUUIDv7()
  notifications.subscribe({
    userId,
    sessionId: userId,
    seen: () => Number.MAX_SAFE_INTEGER,
    wake: () => {
      woken.count++
    },
  })
  return { ...notifications, userId, woken, log }
}

const delivers = async (config: Config, db: Db) => {
  const receiver = listen(config, db)
  const writer = openNotifications({ config, db, log: createLog(() => {}, 'silent') })
  // Woken when the connection listens.
  await until(async () => receiver.woken.count > 0)
  const send = async () => {
    const before = receiver.woken.count
    writer.publish(receiver.userId)
    await until(async () => receiver.woken.count > before)
  }
  await send()
  const logged = (event: string) =>
    until(async () => receiver.log.some((line) => line.event === event))
  const stop = () => Promise.all([receiver.stop(), writer.stop()])
  return { send, logged, stop }
}

describe.skipIf(serverUrl === undefined)('a notification arrives, also after', () => {
  test('a cut connection to PostgreSQL', async () => {
    await using pg = await onPostgres()
    const config = { kind: 'postgres', listenUrl: pg.url } as const
    const { send, logged, stop } = await delivers(config, pg.database.db)
    await pg.admin.unsafe(`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'taskwarden notifications' and datname = '${pg.name}'`)
    await logged('notifications are not received')
    await logged('notifications are received again')
    await send()
    await stop()
  })

  test.skipIf(!hasRedis)('a killed Redis server', async () => {
    await using pg = await onPostgres()
    await using redis = await redisServer()
    const { send, logged, stop } = await delivers({ kind: 'redis', url: redis.url }, pg.database.db)
    await redis.stop()
    await logged('notifications are not received')
    await redis.start()
    await logged('notifications are received again')
    await send()
    await stop()
  })
})

test.skipIf(serverUrl === undefined)(
  'a connection that is opened once needs no statement of the pool for each message',
  async () => {
    const texts: string[] = []
    await using pg = await onPostgres({ observe: (text) => texts.push(text) })
    const config = { kind: 'postgres', listenUrl: pg.url } as const
    const { send, stop } = await delivers(config, pg.database.db)
    const before = texts.length
    await send()
    expect(new Set(texts.slice(before))).toEqual(new Set(['select pg_notify($1, $2)']))
    await stop()
  },
)
