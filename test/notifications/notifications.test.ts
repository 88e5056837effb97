import { describe, expect, test } from 'bun:test'
import { createLog, type LogFields } from '../../src/log.ts'
import type { Channel } from '../../src/notifications/channel.ts'
import { createNotifications, type Subscriber } from '../../src/notifications/notifications.ts'

type Handlers = Parameters<Channel['receive']>[0]

/** A channel between the instances of a test, which can lose messages and break. */
const network = () => {
  const receivers = new Set<Handlers>()
  const sent: string[] = []
  const state = { isDown: false, isSilent: false, connects: 0 }
  const channel = (): Channel => ({
    publish: async (text) => {
      if (state.isDown) throw new Error('down')
      sent.push(text)
      if (!state.isSilent) for (const { onMessage } of receivers) onMessage(text)
    },
    receive: async (handlers) => {
      state.connects++
      if (state.isDown) throw Object.assign(new Error('secret URL'), { code: 'ECONNREFUSED' })
      receivers.add(handlers)
      return { close: () => receivers.delete(handlers) }
    },
    close: async () => {},
  })
  const breakAll = () => {
    for (const handlers of [...receivers]) {
      receivers.delete(handlers)
      handlers.onLost()
    }
  }
  return { channel, state, sent, breakAll, receivers }
}

const instance = (channel?: Channel, findStale?: (all: readonly Subscriber[]) => Subscriber[]) => {
  const log: LogFields[] = []
  const notifications = createNotifications({
    channel,
    findStale: findStale && (async (all) => findStale(all)),
    log: createLog((line) => log.push(JSON.parse(line)), 'debug'),
  })
  return { ...notifications, log }
}

const subscriber = (userId: string) => {
  const woken = { count: 0, next: Promise.withResolvers<void>() }
  const wake = () => {
    woken.count++
    woken.next.resolve()
    woken.next = Promise.withResolvers()
  }
  return { userId, sessionId: userId, seen: () => 0, wake, woken }
}

/** Until the instances receive, and have woken their subscribers. */
const connected = async ({ receivers }: ReturnType<typeof network>, count: number) => {
  while (receivers.size < count) await Bun.sleep(1)
  await Bun.sleep(1)
}

describe('a notification', () => {
  test('wakes the subscribers of its user, on every instance, and no others', async () => {
    const between = network()
    const [a, b] = [instance(between.channel()), instance(between.channel())]
    const [own, remote, other] = [subscriber('u'), subscriber('u'), subscriber('v')]
    a.subscribe(own)
    b.subscribe(remote)
    b.subscribe(other)
    await connected(between, 2)
    const before = [own, remote, other].map(({ woken }) => woken.count)
    // Each was woken when its instance connected: it may have missed something before.
    expect(before).toEqual([1, 1, 1])

    const woken = remote.woken.next.promise
    a.publish('u')
    expect(own.woken.count).toBe(2)
    await woken
    expect([own, remote, other].map(({ woken }) => woken.count)).toEqual([2, 2, 1])
    await Promise.all([a.stop(), b.stop()])
  })

  test('of many writes is few messages', async () => {
    const between = network()
    const a = instance(between.channel())
    for (let n = 0; n < 1000; n++) a.publish(`user ${n % 200}`)
    await a.stop()
    const users = between.sent.map((text) => JSON.parse(text).users)
    expect(users.map((list) => list.length)).toEqual([150, 50])
    expect(new Set(users.flat()).size).toBe(200)
    for (const text of between.sent) expect(text.length).toBeLessThan(7000)
  })

  test('that fails does not fail the writer, and is one line in the log per outage', async () => {
    const between = network()
    between.state.isDown = true
    const a = instance(between.channel())
    for (let n = 0; n < 3; n++) {
      a.publish('u')
      await Bun.sleep(30)
    }
    expect(a.log.map(({ event }) => event)).toEqual(['notifications are not sent'])
    await a.stop()
  })

  test('of other programs is ignored', async () => {
    const between = network()
    const a = instance(between.channel())
    const own = subscriber('u')
    a.subscribe(own)
    await connected(between, 1)
    const before = own.woken.count
    for (const text of ['', '{', 'null', '1', '"u"', '{"users":"v"}', '{"users":[null]}'])
      for (const { onMessage } of between.receivers) onMessage(text)
    expect(own.woken.count).toBe(before)
    await a.stop()
  })
})

describe('a connection', () => {
  test('that is lost at once is opened again', async () => {
    const between = network()
    const a = instance(between.channel())
    a.subscribe(subscriber('u'))
    while (between.receivers.size === 0) await Promise.resolve()
    between.breakAll()
    await connected(between, 1)
    // Not by the missing echo, which takes five seconds.
    expect(a.log.map(({ reason }) => reason)).toContain('closed')
    await a.stop()
  })

  test('exists only while someone listens', async () => {
    const between = network()
    const a = instance(between.channel())
    a.publish('u')
    expect(between.receivers.size).toBe(0)
    const unsubscribe = a.subscribe(subscriber('u'))
    await connected(between, 1)
    unsubscribe()
    expect(between.receivers.size).toBe(0)
    a.subscribe(subscriber('v'))
    await connected(between, 1)
    await a.stop()
    expect(between.receivers.size).toBe(0)
  })

  test('that is no longer needed when it opens is closed', async () => {
    const between = network()
    const a = instance(between.channel())
    // Stopped and started while the first one connects.
    a.subscribe(subscriber('u'))()
    const unsubscribe = a.subscribe(subscriber('u'))
    await connected(between, 1)
    await Bun.sleep(10)
    expect(between.receivers.size).toBe(1)
    unsubscribe()
    expect(between.receivers.size).toBe(0)
    await a.stop()
  })

  test('that is lost is opened again, and then everyone looks', async () => {
    const between = network()
    const a = instance(between.channel())
    const own = subscriber('u')
    a.subscribe(own)
    await connected(between, 1)
    const before = own.woken.count
    between.state.isDown = true
    between.breakAll()
    await Bun.sleep(300)
    between.state.isDown = false
    await connected(between, 1)
    while (own.woken.count === before) await Bun.sleep(1)
    while (a.log.length < 2) await Bun.sleep(1)
    expect(a.log.map(({ event }) => event)).toEqual([
      'notifications are not received',
      'notifications are received again',
    ])
    expect(JSON.stringify(a.log)).not.toContain('secret')
    await a.stop()
  })

  test('without its own messages is replaced: a half-open one looks alive', async () => {
    const between = network()
    const a = instance(between.channel())
    a.subscribe(subscriber('u'))
    await connected(between, 1)
    between.state.isSilent = true
    while (!a.log.some(({ reason }) => reason === 'no echo')) await Bun.sleep(50)
    between.state.isSilent = false
    while (!a.log.some(({ event }) => event === 'notifications are received again'))
      await Bun.sleep(50)
    expect(between.state.connects).toBeGreaterThan(1)
    await a.stop()
  }, 30_000)
})

test('a lost notification is repaired by the poll, for those who have missed something', async () => {
  const between = network()
  const [missed, current] = [subscriber('u'), subscriber('v')]
  const a = instance(between.channel(), (all) => all.filter(({ userId }) => userId === 'u'))
  a.subscribe(missed)
  a.subscribe(current)
  await connected(between, 1)
  const before = current.woken.count
  const startedAt = performance.now()
  await missed.woken.next.promise
  expect(performance.now() - startedAt).toBeLessThan(5000)
  expect(current.woken.count).toBe(before)
  await a.stop()
})
