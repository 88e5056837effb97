import { customType } from 'drizzle-orm/pg-core'

/**
 * A timestamp as RFC 3339 text in UTC with milliseconds, as responses contain it.
 *
 * The text of the driver is rewritten without a `Date`: formatting forty of them per page had a measurable cost.
 */
export const timestamp = customType<{ data: string; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  fromDriver: (text) => {
    if (text !== lastRead) {
      lastRead = text
      lastTimestamp = `${text.slice(0, 10)}T${text.slice(11, -3)}${endings[text.length] ?? 'Z'}`
    }
    return lastTimestamp
  },
})

/** The times of one task are often equal, so the last conversion is kept. */
let lastRead = ''
let lastTimestamp = ''

/** By the length of `2026-01-31 12:00:00.25+00`: PostgreSQL omits trailing zeros of the fraction. */
const endings: Record<number, string> = { 22: '.000Z', 24: '00Z', 25: '0Z' }

/**
 * A text array. Drizzle's own type loses backslashes if the driver returns arrays as PostgreSQL prints them, as
 * postgres.js does with `fetch_types: false`.
 */
export const textArray = customType<{ data: string[]; driverData: string | string[] }>({
  dataType: () => 'text[]',
  fromDriver: (array) => (typeof array === 'string' ? elementsOf(array) : array),
})

/** Parses `{a,"b c","\\"d"}`: an element is bare, or quoted with backslash escapes. */
const elementsOf = (array: string): string[] => {
  const elements: string[] = []
  const last = array.length - 1
  for (let at = 1; at < last; ) {
    const isQuoted = array[at] === '"'
    const from = isQuoted ? at + 1 : at
    const end = isQuoted ? closingQuote(array, from) : bareEnd(array, from, last)
    const element = array.slice(from, end)
    elements.push(isQuoted ? element.replace(/\\(.)/gs, '$1') : element)
    at = end + (isQuoted ? 2 : 1)
  }
  return elements
}

const closingQuote = (array: string, from: number): number => {
  let at = from
  while (at < array.length && array[at] !== '"') at += array[at] === '\\' ? 2 : 1
  return at
}

const bareEnd = (array: string, from: number, last: number): number => {
  const comma = array.indexOf(',', from)
  return comma === -1 ? last : comma
}
