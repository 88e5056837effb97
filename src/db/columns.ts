import { customType } from 'drizzle-orm/pg-core'

/**
 * An instant, as the RFC 3339 text in UTC with milliseconds that clients see.
 *
 * The driver's own text is rewritten without a `Date` between: formatting forty
 * of them a page was measurable.
 */
export const timestamp = customType<{ data: string; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  fromDriver: (text) => {
    if (text !== lastRead) {
      lastRead = text
      lastInstant = `${text.slice(0, 10)}T${text.slice(11, -3)}${endings[text.length] ?? 'Z'}`
    }
    return lastInstant
  },
})

/** A task's times are often one and the same: of the statement that made it, or completed it. */
let lastRead = ''
let lastInstant = ''

/** By the length of `2026-01-31 12:00:00.25+00`: PostgreSQL leaves out a fraction's zeros at its end. */
const endings: Record<number, string> = { 22: '.000Z', 24: '00Z', 25: '0Z' }

/**
 * An array of texts. Drizzle's own loses backslashes where the driver gives the
 * array as PostgreSQL writes it (postgres.js without its type look-up does).
 */
export const textArray = customType<{ data: string[]; driverData: string | string[] }>({
  dataType: () => 'text[]',
  fromDriver: (array) => (typeof array === 'string' ? elementsOf(array) : array),
})

/** Of `{a,"b c","\\"d"}`: an element is bare, or quoted with backslashes before what needs one. */
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
