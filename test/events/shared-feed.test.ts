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
  at: '2026-01-01T00:00:00.000Z',
})

/** A feed of deletions, numbered from 1, and the followers of one user. */
const feed = () => {
  const state = { head: 0, reads: [] as number[], live: new Set(['s']) }
  const readChanges: ChangesReader = async (_, { since }) => {
    state.reads.push(since.number)
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
      live: state.live,
    }
  }
  const cursorCodec = createCursorCodec(['x'.repeat(32)])
  const changesTokens = createChangesTokens({ cursorCodec, trashDays: 30 })
  const log = createLog(() => {}, 'silent')
  const feeds = createSharedFeeds({ readChanges, changesTokens, log })

  const follower = (sessionId = 's') => {
    const received: string[] = []
    const next = Promise.withResolvers<void>()
    const one: Follower = {
      userId: 'u',
      sessionId,
      receive: (text) => {
        received.push(...[...text.matchAll(/"id":"(\d+)"/g)].map(([, id = '']) => id))
        next.resolve()
      },
      endSession: () => {
        received.push('end')
        next.resolve()
      },
      detach: () => received.push('detach'),
    }
    return { one, received, woken: next.promise }
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
  feeds.wake('u')
  feeds.wake('u')
  await Promise.all([first.woken, ahead.woken, ended.woken])
  expect(first.received).toEqual(['6', '7', '8'])
  expect(ahead.received).toEqual(['8'])
  expect(ended.received).toEqual(['end'])
  expect(behind.received).toEqual([])
  expect(state.reads).toEqual([5])
  for (const { one } of [first, ahead]) feeds.leave(one)
})

test('a feed without followers is forgotten', async () => {
  const { state, feeds, follower } = feed()
  const { one } = follower()
  expect(feeds.join(one, positionOf(9))).toBe(true)
  feeds.leave(one)
  feeds.wake('u')
  await Bun.sleep(5)
  expect(state.reads).toEqual([])
  expect(feeds.join(one, positionOf(1))).toBe(true)
  feeds.leave(one)
})
