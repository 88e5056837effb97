import { expect, test } from 'bun:test'
import { createEventStreams } from '../../src/events/streams.ts'
import { ProblemError } from '../../src/http/problem.ts'
import { createLog } from '../../src/log.ts'
import { createNotifications } from '../../src/notifications/notifications.ts'

const problemOf = (run: () => unknown): [string, string | undefined] => {
  try {
    run()
    return ['none', undefined]
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    return [error.problemCode, error.headers['retry-after']]
  }
}

test('an instance has 5 000 places for streams, and a released one can be used again', () => {
  const log = createLog(() => {}, 'silent')
  const unused = () => {
    throw new Error('no stream is opened')
  }
  const streams = createEventStreams({
    notifications: createNotifications({ log }),
    stopSignal: new AbortController().signal,
    changes: unused,
    readChanges: unused,
    changesTokens: { encode: unused, decode: unused, advance: unused },
    log,
  })
  const places = Array.from({ length: 5000 }, (_, n) => streams.reserve(`user ${n % 500}`))
  expect(problemOf(() => streams.reserve('another'))).toEqual(['unavailable', '10'])
  // The limit of the user comes first.
  expect(problemOf(() => streams.reserve('user 1'))[0]).toBe('too-many-streams')
  places[0]?.release()
  expect(problemOf(() => streams.reserve('another'))[0]).toBe('none')
})
