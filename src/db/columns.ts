import { customType } from 'drizzle-orm/pg-core'

/**
 * An instant, as the RFC 3339 text in UTC with milliseconds that clients see.
 *
 * The driver's own text is rewritten without a `Date` between: formatting forty
 * of them a page was measurable.
 */
export const moment = customType<{ data: string; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  fromDriver: (text) => `${text.slice(0, 10)}T${text.slice(11, -3)}${endings[text.length] ?? 'Z'}`,
})

/** By the length of `2026-01-31 12:00:00.25+00`: PostgreSQL leaves out a fraction's zeros at its end. */
const endings: Record<number, string> = { 22: '.000Z', 24: '00Z', 25: '0Z' }

/**
 * An array of texts. Drizzle's own loses backslashes where the driver gives the
 * array as PostgreSQL writes it (postgres.js without its type look-up does).
 */
export const texts = customType<{ data: string[]; driverData: string | string[] }>({
  dataType: () => 'text[]',
  fromDriver: (array) => (typeof array === 'string' ? elementsOf(array) : array),
})

/** Of `{a,"b c","\\"d"}`: an element is bare, or quoted with backslashes before what needs one. */
const elementsOf = (array: string): string[] => {
  if (array === '{}') return []
  // Twenty a page, and hardly ever one in quotes.
  if (!array.includes('"')) return array.slice(1, -1).split(',')
  return [...array.matchAll(/"((?:[^"\\]|\\.)*)"|[^,{}]+/gs)].map(([bare, quoted]) =>
    quoted === undefined ? bare : quoted.replace(/\\(.)/gs, '$1'),
  )
}
