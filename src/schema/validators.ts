import {
  Kind,
  type SchemaOptions,
  type TSchema,
  type TUnsafe,
  Type,
  TypeRegistry,
} from '@sinclair/typebox'
import { parseRule } from '../recurrence/rule.ts'
import { isDay, toTimeZone } from './calendar.ts'
import { normalizeEmail } from './email.ts'
import { explainInvalidTimestamp, toUtc } from './timestamp.ts'

/**
 * The validators of the types that schemas are made of (`types.ts`).
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
  RecurrenceRule: (value) => {
    if (typeof value !== 'string') return 'must be a string'
    if (value.length > 500) return 'must have at most 500 characters'
    const rule = parseRule(value)
    return 'mismatch' in rule ? rule.mismatch : undefined
  },
  Reminder: (value, { 'x-minutes-max': minutesMax }) => {
    const members = Object.entries(Object(value))
    const [[name, time] = []] = members
    if (members.length !== 1 || (name !== 'at' && name !== 'minutes_before'))
      return 'must be {at} or {minutes_before}'
    if (name === 'at') {
      const text = typeof time === 'string' ? time : ''
      return toUtc(text) === undefined ? `at ${explainInvalidTimestamp(text)}` : undefined
    }
    return Number.isInteger(time) && Number(time) >= 0 && Number(time) <= minutesMax
      ? undefined
      : `minutes_before must be a whole number from 0 to ${minutesMax}`
  },
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
  SortParam: (value, { 'x-key': key, 'x-most': most }) => {
    const keys = typeof value === 'string' ? value.split(',') : []
    const mismatch = keys.map((one) => explainMismatch(key, one)).find((one) => one !== undefined)
    if (keys.length === 0 || mismatch) return mismatch ?? 'must be given once'
    if (keys.length > most) return `must have at most ${most} keys`
    const names = new Set(keys.map((one) => one.replace('-', '')))
    return names.size < keys.length ? 'must not repeat a key' : undefined
  },
  Id: () => undefined,
  Reference: (value) => (typeof value === 'string' ? undefined : 'must be a string'),
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

/** A type that a validator of this file checks; `T` is its static type. */
export const customType = <T>(kind: keyof typeof validators, options: SchemaOptions): TUnsafe<T> =>
  Type.Unsafe<T>({ ...options, [Kind]: kindOf(kind) })

/** Counts Unicode code points, as JSON Schema does. */
export const countCodePoints = (text: string): number => {
  let pairs = 0
  for (const _ of text.matchAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)) pairs++
  return text.length - pairs
}
