import { expect, test } from 'bun:test'
import { toUtc } from '../../src/schema/timestamp.ts'

const two = (number: number) => String(number).padStart(2, '0')
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number)

/** What a `Date` makes of it, where that is the same day and time. */
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
])('%j is no time', (text) => {
  expect(toUtc(text)).toBeUndefined()
})
