import { expect, test } from 'bun:test'
import { explainInvalidTimestamp, toUtc } from '../../src/schema/timestamp.ts'

const two = (number: number) => String(number).padStart(2, '0')
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number)

/** The conversion by `Date`, if it keeps day and time. */
const byDate = (text: string) => {
  const date = new Date(text)
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? text : undefined
}

test.each(['0001', '1900', '2000', '2023', '2024', '9999'])(
  'a time in the form that is stored is one of a day there was: %s',
  (year) => {
    const days = upTo(14).flatMap((month) => upTo(33).map((day) => `${two(month)}-${two(day)}`))
    const texts = days.map((day) => `${year}-${day}T23:59:59.999Z`)

    const taken = texts.map(toUtc)

    expect(taken).toEqual(texts.map(byDate))
  },
)

test.each([
  '0000-01-01T00:00:00.000Z',
  '2024-01-01T24:00:00.000Z',
  '2024-01-01T23:60:00.000Z',
  '2024-01-01T23:59:60.000Z',
  '2024-01-01T00:00:00.000Z\n',
  '12024-01-01T00:00:00.000Z',
])('%j is not a timestamp', (text) => {
  expect(toUtc(text)).toBeUndefined()
})

test.each([
  ['2026-11-20T23:16:35.474999Z', '2026-11-20T23:16:35.474Z'],
  ['2026-11-20T23:16:35.474999+00:00', '2026-11-20T23:16:35.474Z'],
  ['2026-11-20T23:16:35.9999Z', '2026-11-20T23:16:35.999Z'],
  ['2026-11-20T23:16:35.4Z', '2026-11-20T23:16:35.400Z'],
  ['2026-12-31T23:59:59.999999999-01:00', '2027-01-01T00:59:59.999Z'],
  ['0001-01-01T00:00:00.0009Z', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.9999999Z', '9999-12-31T23:59:59.999Z'],
])('fraction digits after the third are truncated: %s', (text, expected) => {
  expect(toUtc(text)).toBe(expected)
})

test.each([
  ['2026-12-24', 'must have a time, such as T18:00:00Z'],
  ['2026-12-24T18:00:00', 'must have a time zone, such as Z or +02:00'],
  ['2026-12-24T18:00:00.474999', 'must have a time zone, such as Z or +02:00'],
  ['2026-12-24t18:00', 'must have a time zone, such as Z or +02:00'],
  ['2026-12-24T18:00Z', 'must have seconds, such as 18:00:00Z'],
  ['2026-02-30T18:00:00Z', 'must be an RFC 3339 date-time in the years 0001 to 9999'],
  ['2026-12-24T18:00:00+0100', 'must be an RFC 3339 date-time in the years 0001 to 9999'],
  ['2026-12-24T', 'must be an RFC 3339 date-time in the years 0001 to 9999'],
  ['', 'must be an RFC 3339 date-time in the years 0001 to 9999'],
])('the detail for %j names the part that is missing', (text, detail) => {
  expect(toUtc(text)).toBeUndefined()
  expect(explainInvalidTimestamp(text)).toBe(detail)
})
