import { customType } from 'drizzle-orm/pg-core'

/**
 * An instant, as the RFC 3339 text in UTC with milliseconds that clients see.
 *
 * The driver's own text is rewritten without a `Date` between: formatting forty
 * of them a page was measurable.
 */
export const moment = customType<{ data: string; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  fromDriver: (text) => {
    if (text.length === 26 && text[10] === ' ') return `${text.slice(0, 10)}T${text.slice(11, 23)}Z`
    const [date, rest = ''] = text.split(' ')
    const [time = '', fraction = ''] = rest.replace('+00', '').split('.')
    return `${date}T${time}.${fraction.padEnd(3, '0')}Z`
  },
})

/**
 * An array of texts. Drizzle's own loses backslashes where the driver gives the
 * array as PostgreSQL writes it (postgres.js without its type look-up does).
 */
export const texts = customType<{ data: string[]; driverData: string | string[] }>({
  dataType: () => 'text[]',
  fromDriver: (array) => (typeof array === 'string' ? elementsOf(array) : array),
})

/** Of `{a,"b c","\\"d"}`: an element is bare, or quoted with backslashes before what needs one. */
const elementsOf = (array: string): string[] =>
  [...array.matchAll(/"((?:[^"\\]|\\.)*)"|[^,{}]+/gs)].map(([bare, quoted]) =>
    quoted === undefined ? bare : quoted.replace(/\\(.)/gs, '$1'),
  )
