import { expect, test } from 'bun:test'
import { createSharedFeeds, type Follower } from '../../src/events/shared-feed.ts'
import { createCursorCodec } from '../../src/http/cursor-codec.ts'
import { createLog } from '../../src/log.ts'
import type { ChangesReader } from '../../src/tasks/changes/repository.ts'
import { lastId } from '../../src/tasks/changes/statements.ts'
import { createChangesTokens, type FeedPosition } from '../../src/tasks/changes/token.ts'

const positionOf = (number: number): FeedPosition => ({
  number,
  id: lastId,
  fresh: 0,
  lists: false,
  at: '2026-01-01T00:00:00.000Z',
})

/** A feed of deletions, numbered from 1, and the followers of one user. */
const feed = () => {
  const state = {
    head: 0,
    reads: [] as number[],
    live: new Set(['s']),
    during: async () => {},
  }
  const readChanges: ChangesReader = async (_, { since, sessionIds }) => {
    state.reads.push(since.number)
    await state.during()
    const numbers = Array.from(
      { length: state.head - since.number },
      (_, n) => since.number + 1 + n,
    )
    return {
      entries: numbers.map((number) => ({
        number,
        id: `${number}`,
        change: { op: 'delete', id: `${number}`, deleted_at: '' },
      })),
      progress: positionOf(state.head),
      has_more: false,
      live: new Set(sessionIds.filter((id) => state.live.has(id))),
    }
  }
  const cursorCodec = createCursorCodec(['x'.repeat(32)])
  const changesTokens = createChangesTokens({ cursorCodec, trashDays: 30 })
  const log = createLog(() => {}, 'silent')
  const feeds = createSharedFeeds({ readChanges, changesTokens, log })

  const follower = (sessionId = 's') => {
    const received: string[] = []
    const positions: number[] = []
    const next = Promise.withResolvers<void>()
    const one: Follower = {
      userId: 'u',
      sessionId,
      withLists: false,
      receive: (text, { number }) => {
        positions.push(number)
        received.push(...[...text.matchAll(/"id":"(\d+)"/g)].map(([, id = '']) => id))
        next.resolve()
      },
      endSession: () => {
        received.push('end')
        next.resolve()
      },
      detach: () => received.push('detach'),
    }
    return { one, received, positions, woken: next.promise }
  }
  return { state, feeds, follower }
}

test('several followers share one read, and each receives what it does not have', async () => {
  const { state, feeds, follower } = feed()
  const [first, ahead, behind, ended] = [follower(), follower(), follower(), follower('other')]
  state.head = 5
  expect(feeds.join(first.one, positionOf(5))).toBe(true)
  expect(feeds.join(ahead.one, positionOf(7))).toBe(true)
  // It has to read on by itself: the feed does not go back.
  expect(feeds.join(behind.one, positionOf(4))).toBe(false)
  expect(feeds.join(behind.one, { ...positionOf(6), id: 'in the middle' })).toBe(false)
  expect(feeds.join(ended.one, positionOf(5))).toBe(true)

  state.head = 8
  feeds.wake(first.one)
  feeds.wake(first.one)
  await Promise.all([first.woken, ahead.woken, ended.woken])
  expect(first.received).toEqual(['6', '7', '8'])
  expect(ahead.received).toEqual(['8'])
  expect(ended.received).toEqual(['end'])
  expect(behind.received).toEqual([])
  expect(state.reads).toEqual([5])
  for (const { one } of [first, ahead]) feeds.leave(one)
})

test('a follower that has more than the feed does not go back to its position', async () => {
  const { state, feeds, follower } = feed()
  const [first, ahead] = [follower(), follower()]
  expect(feeds.join(first.one, positionOf(1))).toBe(true)
  expect(feeds.join(ahead.one, positionOf(9))).toBe(true)
  state.head = 5
  feeds.wake(first.one)
  await first.woken
  expect([first.positions, ahead.positions]).toEqual([[5], []])
  state.head = 10
  feeds.wake(first.one)
  await ahead.woken
  expect([ahead.positions, ahead.received]).toEqual([[10], ['10']])
  for (const { one } of [first, ahead]) feeds.leave(one)
})

test('a stream of another session that joins during a read is not ended, and misses nothing', async () => {
  const { state, feeds, follower } = feed()
  const [first, second] = [follower(), follower('second')]
  state.live.add('second')
  expect(feeds.join(first.one, positionOf(0))).toBe(true)
  state.head = 3
  const reading = Promise.withResolvers<void>()
  const joined = Promise.withResolvers<void>()
  state.during = async () => {
    reading.resolve()
    await joined.promise
  }
  feeds.wake(first.one)
  await reading.promise
  // Only the first session was asked about.
  expect(feeds.join(second.one, positionOf(1))).toBe(true)
  joined.resolve()
  await Promise.all([first.woken, second.woken])
  expect(first.received).toEqual(['1', '2', '3'])
  expect(second.received).toEqual(['2', '3'])
  for (const { one } of [first, second]) feeds.leave(one)
})

test('a feed without followers is forgotten', async () => {
  const { state, feeds, follower } = feed()
  const { one } = follower()
  expect(feeds.join(one, positionOf(9))).toBe(true)
  feeds.leave(one)
  feeds.wake(one)
  await Bun.sleep(5)
  expect(state.reads).toEqual([])
  expect(feeds.join(one, positionOf(1))).toBe(true)
  feeds.leave(one)
})
