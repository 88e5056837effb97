import { type Due, successorOf } from '../../src/recurrence/next.ts'
import { isPossible } from '../../src/recurrence/occurrences.ts'
import { parseRule } from '../../src/recurrence/rule.ts'
import { randomOf } from '../support/walk-pages.ts'

/*
 * Compares the next due date of random series with that of python-dateutil: `bun run test:dateutil [series] [seed]`. It
 * needs Python 3.9 with python-dateutil, and is not part of the gate.
 */

const [series = 20_000, seed = 1] = process.argv.slice(2).map(Number)
const random = randomOf(seed)
const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Pacific/Auckland',
  'Australia/Lord_Howe',
  'America/Santiago',
  'Pacific/Pago_Pago',
  'Asia/Kathmandu',
  'Pacific/Apia',
  'Africa/Cairo',
]
const weekdays = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU']

const some = <T>(values: readonly T[], most: number): T[] => [
  ...new Set(Array.from({ length: 1 + random.below(most) }, () => random.of(values))),
]
const signed = (most: number) => (1 + random.below(most)) * (random.chance(30) ? -1 : 1)

const randomRule = (): string => {
  const freq = random.of(['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'])
  const parts = [`FREQ=${freq}`]
  if (random.chance(50)) parts.push(`INTERVAL=${1 + random.below(6)}`)
  const isOrdinal = (freq === 'MONTHLY' || freq === 'YEARLY') && random.chance(50)
  const byDay = random.chance(45)
  if (byDay)
    parts.push(
      `BYDAY=${some(weekdays, 4).map((day) => (isOrdinal ? `${signed(freq === 'MONTHLY' ? 5 : 20)}${day}` : day))}`,
    )
  const byMonthDay = freq !== 'WEEKLY' && !(byDay && isOrdinal) && random.chance(35)
  if (byMonthDay)
    parts.push(
      `BYMONTHDAY=${some(
        Array.from({ length: 8 }, () => signed(31)),
        4,
      )}`,
    )
  // With numbers, BYDAY counts in the month or in the year; python-dateutil and RFC 5545 agree on the year without BYMONTH.
  // Every fifth day, if it is a Monday, 29 February: that may take longer than this service looks for it.
  const isRare = freq === 'DAILY' && byMonthDay && byDay
  const byMonth = !isRare && !(freq === 'YEARLY' && isOrdinal && byDay) && random.chance(30)
  if (byMonth)
    parts.push(
      `BYMONTH=${some(
        Array.from({ length: 12 }, (_, at) => at + 1),
        4,
      )}`,
    )
  // python-dateutil starts the first week of BYSETPOS on the day of the start, and not on that of WKST.
  if (freq !== 'WEEKLY' && (byDay || byMonthDay) && random.chance(20))
    parts.push(`BYSETPOS=${signed(4)}`)
  if (random.chance(30)) parts.push(`WKST=${random.of(weekdays)}`)
  if (random.chance(15)) parts.push(`COUNT=${1 + random.below(30)}`)
  return parts.join(';')
}

const moment = (year: number) =>
  new Date(
    Date.UTC(year, random.below(12), 1 + random.below(31), random.below(24), random.below(60)),
  ).toISOString()
const randomSeries = () => {
  const due = moment(random.of([1970, 2019, 2025, 2026, 2026, 2026]))
  const now = random.chance(50) ? due : moment(2026 + random.below(3))
  return {
    rrule: randomRule(),
    zone: random.of(zones),
    due: random.chance(40) ? due.slice(0, 10) : due,
    now: [due, now].sort()[1] ?? now,
    from: random.chance(25) ? ('completion' as const) : ('due' as const),
  }
}

const toDue = (due: string): Due =>
  due.length === 10 ? { due_at: null, due_on: due } : { due_at: due, due_on: null }

const cases: ReturnType<typeof randomSeries>[] = []
while (cases.length < series) {
  const one = randomSeries()
  const rule = parseRule(one.rrule)
  if (!('mismatch' in rule) && isPossible(rule, Temporal.PlainDate.from(one.due.slice(0, 10))))
    cases.push(one)
}

const python = Bun.spawn(['python3', `${import.meta.dir}/next.py`], {
  stdin: new Blob([cases.map((one) => `${JSON.stringify(one)}\n`).join('')]),
})
const expected = (await new Response(python.stdout).text())
  .trim()
  .split('\n')
  .map((line): unknown => JSON.parse(line))
if ((await python.exited) !== 0 || expected.length !== cases.length)
  throw new Error('python failed')

let [different, uncounted] = [0, 0]
let slowest: [number, string] = [0, '']
for (const [at, one] of cases.entries()) {
  if (expected[at] === 'start does not count') {
    uncounted++
    continue
  }
  const started = performance.now()
  const next = successorOf(
    {
      ...toDue(one.due),
      recurrence: { rrule: one.rrule, time_zone: one.zone, from: one.from },
      series_start: null,
    },
    one.now,
  )
  const took = performance.now() - started
  if (took > slowest[0]) slowest = [took, `${JSON.stringify(one)}`]
  const found = next && (next.due_at ?? next.due_on)
  if (found === expected[at]) continue
  different++
  if (different <= 20) console.log(JSON.stringify({ ...one, found, expected: expected[at] }))
}
console.log(
  `${cases.length - uncounted} series compared, ${different} different; the slowest took ${slowest[0].toFixed(1)} ms: ${slowest[1]}`,
)
process.exit(different > 0 ? 1 : 0)
