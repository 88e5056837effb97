import type { SchemaOptions, TSchema, TUnsafe } from '@sinclair/typebox'
import { customType } from './validators.ts'

type Options = SchemaOptions & { nullable?: boolean }
type Nullable<T, O extends Options> = O extends { nullable: true } ? T | null : T

const jsonType = ({ nullable }: Options) => (nullable ? ['string', 'null'] : 'string')

/** Text of `min` to `max` Unicode code points that PostgreSQL can store. `blank: false` refuses text that shows nothing. */
export const Text = <const O extends Options & { min: number; max: number; blank?: false }>({
  min,
  max,
  ...options
}: O) =>
  customType<Nullable<string, O>>('Text', {
    type: jsonType(options),
    minLength: min,
    maxLength: max,
    ...options,
  })

/** A new e-mail address, compared and stored in the form of `normalizeEmail`. */
export const Email = <const O extends Options>(options: O) =>
  customType<Nullable<string, O>>('Email', {
    type: jsonType(options),
    format: 'email',
    maxLength: 254,
    ...options,
  })

/** RFC 3339 with any offset; `toUtc` converts it to the stored form. */
export const Timestamp = <const O extends Options>(options: O) =>
  customType<Nullable<string, O>>('Timestamp', {
    type: jsonType(options),
    format: 'date-time',
    ...options,
  })

/** A day without a time, in the form of RFC 3339 (`full-date`). */
export const Day = <const O extends Options>(options: O) =>
  customType<Nullable<string, O>>('Day', { type: jsonType(options), format: 'date', ...options })

/** The name of a time zone of the IANA database, in any case; `toTimeZone` returns its spelling. */
export const TimeZone = (options: SchemaOptions) =>
  customType<string>('TimeZone', { type: 'string', ...options })

/** A recurrence rule (RFC 5545, RFC 7529) that `parseRule` accepts. */
export const RecurrenceRule = (options: SchemaOptions) =>
  customType<string>('RecurrenceRule', { type: 'string', maxLength: 500, ...options })

/** When a task reminds: at a time, or some minutes before it is due. */
export type Reminder = { at: string } | { minutes_before: number }

/** A `Reminder`. The alternatives are for the document. */
export const ReminderTime = (alternatives: TSchema[], options: SchemaOptions) =>
  customType<Reminder>('Reminder', {
    anyOf: alternatives,
    'x-minutes-max': reminderMinutesMax,
    ...options,
  })

/** How long before it is due a task may remind: a year. */
export const reminderMinutesMax = 366 * 24 * 60

export const Enum = <const Values extends readonly string[]>(
  values: Values,
  options: SchemaOptions = {},
) => customType<Values[number]>('Enum', { type: 'string', enum: values, ...options })

/** `true` or `false` in a query. The route receives text; a typed client (Eden) may also pass a boolean. */
export const BooleanParam = (options: SchemaOptions = {}) =>
  customType<boolean | 'true' | 'false'>('BooleanParam', { type: 'boolean', ...options })

/** An integer in a body. */
export const Integer = (options: SchemaOptions & { minimum: number; maximum: number }) =>
  customType<number>('Integer', { type: 'integer', ...options })

/** A query parameter that may be repeated: one value or a list. */
export const ListParam = (items: TSchema, options: SchemaOptions & { maxItems: number }) =>
  customType<string | string[]>('ListParam', { type: 'array', items, ...options })

/** The sort keys of a list in a query: one `key`, or up to `most` with commas between them. */
export const SortParam = <Key extends string>(
  key: TUnsafe<Key>,
  most: number,
  options: SchemaOptions = {},
) => {
  const one = `(${(key.enum as string[]).join('|')})`
  const several = { type: 'string', pattern: `^${one}(,${one}){1,${most - 1}}$` }
  return customType<Key | `${Key},${string}`>('SortParam', {
    anyOf: [key, several],
    'x-key': key,
    'x-most': most,
    ...options,
  })
}

/** An integer in a query, in decimal digits. The route receives text; a typed client may also pass a number. */
export const IntegerParam = (options: SchemaOptions & { minimum: number; maximum: number }) =>
  customType<number | string>('IntegerParam', { type: 'integer', ...options })

/** An id in a path. It accepts any text: text that is not a UUID is an id that does not exist. */
export const Id = <const O extends Options>(options: O = {} as O) =>
  customType<Nullable<string, O>>('Id', { type: jsonType(options), format: 'uuid', ...options })

/** An id in a body. Text that is not a UUID is an id that does not exist. */
export const Reference = <const O extends Options>(options: O = {} as O) =>
  customType<Nullable<string, O>>('Reference', {
    type: jsonType(options),
    format: 'uuid',
    ...options,
  })

const canonicalId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * The canonical id of a UUID in any case (RFC 9562 §4). Otherwise the nil UUID, which no row has, so that invalid text is
 * looked up like any absent id.
 */
export const normalizeId = (text: string | undefined): string => {
  // Elysia has no value for a segment with invalid percent-encoding.
  const id = text?.toLowerCase() ?? ''
  return canonicalId.test(id) ? id : '00000000-0000-0000-0000-000000000000'
}
