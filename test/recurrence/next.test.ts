import { describe, expect, test } from 'bun:test'
import { type Due, type SeriesStart, successorOf } from '../../src/recurrence/next.ts'
import { isPossible } from '../../src/recurrence/occurrences.ts'
import { parseRule } from '../../src/recurrence/rule.ts'

type Options = { zone?: string; from?: 'due' | 'completion'; count?: number }

const toDue = (due: string): Due =>
  due.length === 10 ? { due_at: null, due_on: due } : { due_at: due, due_on: null }

/** The due dates of the tasks of a series. The first is completed at `now`, each other one when it is due. */
const series = (rrule: string, due: string, now = due, options: Options = {}) => {
  const { zone = 'UTC', from = 'due', count = 4 } = options
  const found: string[] = []
  let task = {
    ...toDue(due),
    recurrence: { rrule, time_zone: zone, from },
    series_start: null as SeriesStart | null,
  }
  let completed = now.length === 10 ? `${now}T00:00:00.000Z` : now
  while (found.length < count) {
    const next = successorOf(task, completed)
    if (next === null) return [...found, 'end']
    task = next
    const at = next.due_at ?? next.due_on
    found.push(at)
    completed = at.length === 10 ? `${at}T00:00:00.000Z` : at
  }
  return found
}
/** Times in a zone, without the zone. */
const localSeries = (rrule: string, local: string, zone: string, count = 3) => {
  const { epochMilliseconds } = Temporal.PlainDateTime.from(local).toZonedDateTime(zone)
  const due = new Date(epochMilliseconds).toISOString()
  return series(rrule, due, due, { zone, count }).map((at) =>
    Temporal.Instant.from(at).toZonedDateTimeISO(zone).toPlainDateTime().toString().slice(0, 16),
  )
}

describe('days of a month', () => {
  test.each([
    ['FREQ=MONTHLY', '2026-01-31', ['2026-03-31', '2026-05-31', '2026-07-31', '2026-08-31']],
    [
      'FREQ=MONTHLY;BYMONTHDAY=-1',
      '2026-01-31',
      ['2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31'],
    ],
    ['FREQ=YEARLY', '2024-02-29', ['2028-02-29', '2032-02-29', '2036-02-29', '2040-02-29']],
    ['FREQ=YEARLY', '2096-02-29', ['2104-02-29', '2108-02-29', '2112-02-29', '2116-02-29']],
    [
      'FREQ=MONTHLY;BYDAY=-1FR',
      '2026-01-30',
      ['2026-02-27', '2026-03-27', '2026-04-24', '2026-05-29'],
    ],
    [
      'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1',
      '2026-01-30',
      ['2026-02-27', '2026-03-31', '2026-04-30', '2026-05-29'],
    ],
    [
      'FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO',
      '2026-06-02',
      ['2026-06-07', '2026-06-16', '2026-06-21', '2026-06-30'],
    ],
    [
      'FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU',
      '2026-06-02',
      ['2026-06-14', '2026-06-16', '2026-06-28', '2026-06-30'],
    ],
    // RFC 7529.
    [
      'RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=BACKWARD',
      '2026-01-31',
      ['2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31'],
    ],
    [
      'RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD',
      '2026-01-31',
      ['2026-03-01', '2026-03-31', '2026-05-01', '2026-05-31'],
    ],
    [
      'RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=31;SKIP=BACKWARD',
      '2026-01-31',
      ['2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31'],
    ],
    [
      'RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=1,31;SKIP=FORWARD',
      '2026-03-31',
      ['2026-04-01', '2026-05-01', '2026-05-31', '2026-06-01'],
    ],
    [
      'RSCALE=GREGORIAN;FREQ=MONTHLY;INTERVAL=3;SKIP=FORWARD',
      '2026-01-31',
      ['2026-05-01', '2026-07-31', '2026-10-31', '2027-01-31'],
    ],
    [
      'RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=BACKWARD',
      '2024-02-29',
      ['2025-02-28', '2026-02-28', '2027-02-28', '2028-02-29'],
    ],
    [
      'RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD',
      '2024-02-29',
      ['2025-03-01', '2026-03-01', '2027-03-01', '2028-02-29'],
    ],
    [
      'RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=OMIT',
      '2026-01-31',
      ['2026-03-31', '2026-05-31', '2026-07-31', '2026-08-31'],
    ],
  ])('%s from %s', (rrule, due, expected) => {
    expect(series(rrule, due)).toEqual(expected)
  })
})

describe('local time', () => {
  test.each([
    [
      'stays the same when summer starts',
      'Europe/Berlin',
      '2026-03-28T09:00',
      ['2026-03-29T09:00', '2026-03-30T09:00', '2026-03-31T09:00'],
    ],
    [
      'stays the same when summer ends',
      'Europe/Berlin',
      '2026-10-24T09:00',
      ['2026-10-25T09:00', '2026-10-26T09:00', '2026-10-27T09:00'],
    ],
    [
      'moves behind a gap, and back on the next day',
      'Europe/Berlin',
      '2026-03-28T02:30',
      ['2026-03-29T03:30', '2026-03-30T02:30', '2026-03-31T02:30'],
    ],
    [
      'moves behind a gap of New York',
      'America/New_York',
      '2026-03-07T02:30',
      ['2026-03-08T03:30', '2026-03-09T02:30', '2026-03-10T02:30'],
    ],
    [
      'moves behind a gap of 30 minutes',
      'Australia/Lord_Howe',
      '2026-10-03T02:15',
      ['2026-10-04T02:45', '2026-10-05T02:15', '2026-10-06T02:15'],
    ],
    [
      'moves behind a gap at midnight',
      'America/Santiago',
      '2026-09-05T00:00',
      ['2026-09-06T01:00', '2026-09-07T00:00', '2026-09-08T00:00'],
    ],
    [
      'stays the same in Auckland',
      'Pacific/Auckland',
      '2026-09-26T09:00',
      ['2026-09-27T09:00', '2026-09-28T09:00', '2026-09-29T09:00'],
    ],
    [
      'is the first of two',
      'Europe/Berlin',
      '2026-10-24T02:30',
      ['2026-10-25T02:30', '2026-10-26T02:30', '2026-10-27T02:30'],
    ],
  ])('%s', (_name, zone, local, expected) => {
    expect(localSeries('FREQ=DAILY', local, zone)).toEqual(expected)
  })

  test('of two times at the end of summer, the first one is due', () => {
    const due = '2026-10-24T00:30:00.000Z'
    const [next] = series('FREQ=DAILY', due, due, { zone: 'Europe/Berlin' })
    expect(next).toBe('2026-10-25T00:30:00.000Z')
  })

  test('decides the weekday, also a day ahead of UTC', () => {
    // Monday 08:00 in Auckland is Sunday in UTC.
    const due = '2026-05-31T20:00:00.000Z'
    const zone = 'Pacific/Auckland'
    expect(series('FREQ=WEEKLY;BYDAY=MO', due, due, { zone, count: 1 })).toEqual([
      '2026-06-07T20:00:00.000Z',
    ])
  })

  test.each([
    ['Pacific/Auckland', '2026-06-01T13:00:00.000Z', '2026-06-03'],
    ['Pacific/Pago_Pago', '2026-06-02T05:00:00.000Z', '2026-06-02'],
    ['Asia/Kathmandu', '2026-06-01T18:30:00.000Z', '2026-06-03'],
  ])('decides in %s which day is over at %s', (zone, now, expected) => {
    expect(series('FREQ=DAILY', '2026-06-01', now, { zone, count: 1 })).toEqual([expected])
  })
})

describe('a completion', () => {
  test.each([
    ['late, has no backlog', '2026-06-01', '2026-07-15', 'due', ['2026-07-20']],
    ['early, leaves the next one in its place', '2026-06-08', '2026-06-03', 'due', ['2026-06-15']],
    ['counts the weeks from itself', '2026-06-01', '2026-07-15', 'completion', ['2026-07-20']],
  ] as const)('%s', (_name, due, now, from, expected) => {
    expect(series('FREQ=WEEKLY;BYDAY=MO', due, now, { from, count: 1 })).toEqual([...expected])
  })

  test('late, counts three days from itself, at the time of day of the due date', () => {
    const [due, now] = ['2026-06-01T09:00:00.000Z', '2026-06-10T17:23:45.678Z']
    const rrule = 'FREQ=DAILY;INTERVAL=3'
    expect(series(rrule, due, now, { from: 'completion', count: 2 })).toEqual([
      '2026-06-13T09:00:00.000Z',
      '2026-06-16T09:00:00.000Z',
    ])
    expect(series(rrule, due, now, { count: 2 })).toEqual([
      '2026-06-13T09:00:00.000Z',
      '2026-06-16T09:00:00.000Z',
    ])
    expect(
      series(rrule, due, '2026-06-08T08:00:00.000Z', { from: 'completion', count: 1 }),
    ).toEqual(['2026-06-11T09:00:00.000Z'])
  })

  test('late, but before the time of day, is followed by the task of the same day', () => {
    const [due, now] = ['2026-06-01T09:00:00.000Z', '2026-06-10T08:00:00.000Z']
    expect(series('FREQ=DAILY', due, now, { count: 1 })).toEqual(['2026-06-10T09:00:00.000Z'])
    // In Auckland, it is a day later than in UTC.
    const zone = 'Pacific/Auckland'
    expect(series('FREQ=DAILY', due, now, { zone, count: 1 })).toEqual(['2026-06-10T09:00:00.000Z'])
  })

  test('keeps the time of day of a series that is counted from it, behind a gap too', () => {
    const zone = 'Europe/Berlin'
    const due = '2026-03-28T01:30:00.000Z'
    expect(series('FREQ=DAILY', due, due, { zone, from: 'completion', count: 2 })).toEqual([
      '2026-03-29T01:30:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ])
  })
})

describe('the end of a series', () => {
  test.each([
    ['FREQ=DAILY;COUNT=3', '2026-06-01', '2026-06-01', ['2026-06-02', '2026-06-03', 'end']],
    // The 2nd and the 3rd are over.
    ['FREQ=DAILY;COUNT=5', '2026-06-01', '2026-06-03', ['2026-06-04', '2026-06-05', 'end']],
    ['FREQ=DAILY;COUNT=2', '2026-06-01', '2026-07-01', ['end']],
    ['FREQ=DAILY;COUNT=1', '2026-06-01', '2026-06-01', ['end']],
    ['FREQ=DAILY;UNTIL=20260603', '2026-06-01', '2026-06-01', ['2026-06-02', '2026-06-03', 'end']],
    ['FREQ=DAILY;UNTIL=20260601', '2026-06-01', '2026-06-01', ['end']],
    ['FREQ=DAILY', '9999-12-30', '2026-06-01', ['9999-12-31', 'end']],
  ])('%s from %s, completed on %s', (rrule, due, now, expected) => {
    expect(series(rrule, due, now)).toEqual(expected)
  })

  test('it ends with the year 9999 of UTC', () => {
    const zone = 'Pacific/Pago_Pago'
    const due = '9999-12-30T10:00:00.000Z'
    expect(series('FREQ=DAILY', due, due, { zone })).toEqual(['9999-12-31T10:00:00.000Z', 'end'])
  })

  test('COUNT with completions counts them', () => {
    const days = series('FREQ=DAILY;INTERVAL=2;COUNT=3', '2026-06-01', '2026-06-10', {
      from: 'completion',
    })
    expect(days).toEqual(['2026-06-12', '2026-06-14', 'end'])
  })

  test.each([
    ['20260602T070000Z', ['2026-06-02T07:00:00.000Z', 'end']],
    ['20260602T065959Z', ['end']],
    ['20260602T090000', ['2026-06-02T07:00:00.000Z', 'end']],
    ['20260602T085959', ['end']],
    ['20260602', ['2026-06-02T07:00:00.000Z', 'end']],
  ])('UNTIL=%s is inclusive, for a task at 09:00 in Berlin', (until, expected) => {
    const due = '2026-06-01T07:00:00.000Z'
    expect(series(`FREQ=DAILY;UNTIL=${until}`, due, due, { zone: 'Europe/Berlin' })).toEqual(
      expected,
    )
  })

  test.each([
    ['20260602T120000Z', '2026-06-03'],
    ['20260602T115959Z', '2026-06-02'],
  ])('UNTIL=%s ends days in the zone of the series', (until, last) => {
    const zone = 'Pacific/Auckland'
    const days = series(`FREQ=DAILY;UNTIL=${until}`, '2026-06-01', '2026-06-01T00:00:00.000Z', {
      zone,
    })
    expect(days.at(-2)).toBe(last)
  })
})

describe('a task that was moved', () => {
  test('starts its series again from its new due date', () => {
    const recurrence = { rrule: 'FREQ=WEEKLY', time_zone: 'UTC', from: 'due' as const }
    const series_start = { local: '2026-06-01T00:00:00', due: '2026-06-08' }
    const task = { due_at: null, recurrence, series_start }
    const now = '2026-06-08T12:00:00.000Z'
    expect(successorOf({ ...task, due_on: '2026-06-08' }, now)?.due_on).toBe('2026-06-15')
    expect(successorOf({ ...task, due_on: '2026-06-10' }, now)?.due_on).toBe('2026-06-17')
  })
})

test('a rule is possible for the last task before the year 10000', () => {
  const rule = parseRule('FREQ=WEEKLY;BYDAY=MO')
  if ('mismatch' in rule) throw new Error(rule.mismatch)
  expect(isPossible(rule, Temporal.PlainDate.from('9999-12-27'))).toBe(true)
})

describe('the work', () => {
  test('for a daily task from 1970 is that for one of today', () => {
    // A library that walks through the days reads 20 000 of them.
    expect(
      series('FREQ=DAILY', '1970-01-01T09:00:00.000Z', '2026-06-01T12:00:00.000Z', { count: 1 }),
    ).toEqual(['2026-06-02T09:00:00.000Z'])
    expect(
      series('RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=BACKWARD', '1970-01-31', '2026-06-15', {
        count: 1,
      }),
    ).toEqual(['2026-06-30'])
  })

  test.each([
    ['FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=FR', true],
    ['FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29', true],
    ['FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=366', true],
    ['FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=366', false],
    ['FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31', false],
    ['RSCALE=GREGORIAN;FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;SKIP=BACKWARD', true],
    ['RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=31;BYSETPOS=2;SKIP=BACKWARD', false],
    ['FREQ=YEARLY;INTERVAL=1000', true],
  ])('%s from April: possible is %p', (rrule, expected) => {
    const rule = parseRule(rrule)
    if ('mismatch' in rule) throw new Error(rule.mismatch)
    expect(isPossible(rule, Temporal.PlainDate.from('2026-04-30'))).toBe(expected)
  })
})
