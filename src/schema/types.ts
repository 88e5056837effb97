import {
  Kind,
  type SchemaOptions,
  type TSchema,
  type TUnsafe,
  Type,
  TypeRegistry,
} from '@sinclair/typebox'
import { isDay, toTimeZone } from './calendar.ts'
import { normalizeEmail } from './email.ts'
import { explainInvalidTimestamp, toUtc } from './timestamp.ts'

/**
 * The types that schemas are made of.
 *
 * Elysia's own types accept what the contract refuses: `maxLength` counts UTF-16 units, `t.Integer` accepts "1",
 * `t.Date` accepts 30 February, and query numbers accept `1e3` and `0x10`. Each type here also explains what is
 * wrong with a value.
 */
type Validator = (value: unknown, schema: TSchema) => string | undefined

const validators = {
  Text: (value, { minLength, maxLength, blank }) => {
    if (typeof value !== 'string') return 'must be a string'
    if (value.includes('\0')) return 'must not contain U+0000'
    if (!value.isWellFormed()) return 'must not contain unpaired surrogates'
    const length = countCodePoints(value)
    if (length < minLength)
      return `must have at least ${minLength} character${minLength === 1 ? '' : 's'}`
    if (length > maxLength) return `must have at most ${maxLength} characters`
    return blank === false && invisible.test(value) ? 'must not be blank' : undefined
  },
  Email: (value) => {
    if (typeof value !== 'string') return 'must be a string'
    const email = normalizeEmail(value)
    if (countCodePoints(email) > 254) return 'must have at most 254 characters'
    if (!/^[^\s@\0]+@[^\s@\0]+$/.test(email) || !email.isWellFormed())
      return 'must be an e-mail address'
    return /^\.|\.@/.test(email) ? 'must not have a dot at the start or before the @' : undefined
  },
  Timestamp: (value) => {
    if (typeof value !== 'string') return explainInvalidTimestamp('')
    return toUtc(value) === undefined ? explainInvalidTimestamp(value) : undefined
  },
  Day: (value) =>
    typeof value === 'string' && isDay(value)
      ? undefined
      : 'must be a day in the years 0001 to 9999, such as 2026-12-24',
  TimeZone: (value) =>
    typeof value === 'string' && toTimeZone(value) !== undefined
      ? undefined
      : 'must be an IANA time zone, such as Europe/Berlin',
  Enum: (value, schema) =>
    typeof value === 'string' && (schema.enum as unknown[]).includes(value)
      ? undefined
      : `must be one of ${(schema.enum as unknown[]).filter((one) => one !== null).join(', ')}`,
  BooleanParam: (value) =>
    value === 'true' || value === 'false' ? undefined : 'must be true or false',
  Integer: (value, { minimum, maximum }) =>
    Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum
      ? undefined
      : `must be a whole number from ${minimum} to ${maximum}`,
  IntegerParam: (value, { minimum, maximum }) =>
    typeof value === 'string' &&
    /^(0|[1-9]\d{0,8})$/.test(value) &&
    Number(value) >= minimum &&
    Number(value) <= maximum
      ? undefined
      : `must be a whole number from ${minimum} to ${maximum}`,
  ListParam: (value, { items, maxItems }) => {
    const values = [value].flat()
    if (values.length > maxItems) return `must be given at most ${maxItems} times`
    return values
      .map((one) => explainMismatch(items, one))
      .find((mismatch) => mismatch !== undefined)
  },
  Id: () => undefined,
  FormBody: () => undefined,
} satisfies Record<string, Validator>

/** Only white space, and characters without a glyph: zero-width, format, variation selectors, fillers. */
const invisible = /^[\s\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]*$/u

/** Prefixed, because TypeBox has kinds of its own with some of these names, such as `Integer`. */
const kindOf = (name: string): string => `Strict${name}`

const validatorByKind = new Map<unknown, Validator>()
for (const [name, validate] of Object.entries<Validator>(validators)) {
  validatorByKind.set(kindOf(name), validate)
  TypeRegistry.Set(
    kindOf(name),
    (schema: TSchema, value) =>
      (value === null && schema.nullable === true) || validate(value, schema) === undefined,
  )
}

/** Whether the schema is a `Text` of this file. */
export const isText = (schema: TSchema | undefined): boolean => schema?.[Kind] === kindOf('Text')

/** What is wrong with a value, as a detail for its pointer; undefined for schemas that are not of this file. */
export const explainMismatch = (schema: TSchema, value: unknown): string | undefined => {
  const mismatch = validatorByKind.get(schema[Kind])?.(value, schema)
  // For text of the wrong form, null is not what the client meant.
  const isNullHint = schema.nullable === true && typeof value !== 'string'
  return mismatch && isNullHint ? `${mismatch}, or null` : mismatch
}

type Options = SchemaOptions & { nullable?: boolean }
type Nullable<T, O extends Options> = O extends { nullable: true } ? T | null : T

/** A type that a validator of this file checks; `T` is its static type. */
export const customType = <T>(kind: keyof typeof validators, options: SchemaOptions): TUnsafe<T> =>
  Type.Unsafe<T>({ ...options, [Kind]: kindOf(kind) })

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

/** An integer in a query, in decimal digits. The route receives text; a typed client may also pass a number. */
export const IntegerParam = (options: SchemaOptions & { minimum: number; maximum: number }) =>
  customType<number | string>('IntegerParam', { type: 'integer', ...options })

/** An id in a path. It accepts any text: text that is not a UUID is an id that does not exist. */
export const Id = <const O extends Options>(options: O = {} as O) =>
  customType<Nullable<string, O>>('Id', { type: jsonType(options), format: 'uuid', ...options })

/** Counts Unicode code points, as JSON Schema does. */
export const countCodePoints = (text: string): number => {
  let pairs = 0
  for (const _ of text.matchAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)) pairs++
  return text.length - pairs
}

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
