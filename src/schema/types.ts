import {
  Kind,
  type SchemaOptions,
  type TSchema,
  type TUnsafe,
  Type,
  TypeRegistry,
} from '@sinclair/typebox'
import { toUtc } from './timestamp.ts'

/**
 * The leaves of every schema.
 *
 * They are kinds of our own because the stock ones let through what the contract
 * refuses: `maxLength` counts UTF-16 units, `t.Integer` takes "1", `t.Date` takes
 * 30 February, query numbers take `1e3` and `0x10`. Each says what is wrong in
 * words for a client, and what it is in JSON Schema.
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
    return blank === false && value.trim() === '' ? 'must not be blank' : undefined
  },
  Email: (value) => {
    if (typeof value !== 'string') return 'must be a string'
    const email = normalizeEmail(value)
    if (countCodePoints(email) > 254) return 'must have at most 254 characters'
    return /^[^\s@\0]+@[^\s@\0]+$/.test(email) && email.isWellFormed()
      ? undefined
      : 'must be an e-mail address'
  },
  Timestamp: (value) =>
    typeof value === 'string' && toUtc(value) !== undefined
      ? undefined
      : 'must be an RFC 3339 date-time with at most 3 fraction digits, in the years 0001 to 9999',
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

/** TypeBox has kinds of its own under some of these names, such as `Integer`. */
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

/** Why a value is not of a shape of this file, in words that follow its pointer; nothing for other schemas. */
export const explainMismatch = (schema: TSchema, value: unknown): string | undefined => {
  const mismatch = validatorByKind.get(schema[Kind])?.(value, schema)
  return mismatch && schema.nullable === true ? `${mismatch}, or null` : mismatch
}

type Options = SchemaOptions & { nullable?: boolean }
type Nullable<T, O extends Options> = O extends { nullable: true } ? T | null : T

const customType = <T>(kind: keyof typeof validators, options: SchemaOptions): TUnsafe<T> =>
  Type.Unsafe<T>({ ...options, [Kind]: kindOf(kind) })

const jsonType = ({ nullable }: Options) => (nullable ? ['string', 'null'] : 'string')

/** Text of `min` to `max` Unicode code points, which PostgreSQL can store. `blank: false` asks for a character that is not white space. */
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

/** An e-mail; compared and stored as `canonicalEmail` gives it. */
export const Email = <const O extends Options>(options: O) =>
  customType<Nullable<string, O>>('Email', {
    type: jsonType(options),
    format: 'email',
    maxLength: 254,
    ...options,
  })

/** RFC 3339 with any offset; `toUtc` gives the one form that is stored. */
export const Timestamp = <const O extends Options>(options: O) =>
  customType<Nullable<string, O>>('Timestamp', {
    type: jsonType(options),
    format: 'date-time',
    ...options,
  })

export const Enum = <const Values extends readonly string[]>(
  values: Values,
  options: SchemaOptions = {},
) => customType<Values[number]>('Enum', { type: 'string', enum: values, ...options })

/** `true` or `false` in a query. */
export const BooleanParam = (options: SchemaOptions = {}) =>
  customType<'true' | 'false'>('BooleanParam', { type: 'boolean', ...options })

/** A whole number in a body. */
export const Integer = (options: SchemaOptions & { minimum: number; maximum: number }) =>
  customType<number>('Integer', { type: 'integer', ...options })

/** A query parameter that may be repeated: one value, or a list of them. */
export const ListParam = (items: TSchema, options: SchemaOptions & { maxItems: number }) =>
  customType<string | string[]>('ListParam', { type: 'array', items, ...options })

/** A whole number in a query, in plain decimal digits. */
export const IntegerParam = (options: SchemaOptions & { minimum: number; maximum: number }) =>
  customType<string>('IntegerParam', { type: 'integer', ...options })

/** An id in a path. Takes anything: one that is not canonical is an id that does not exist. */
export const Id = (options: SchemaOptions = {}) =>
  customType<string>('Id', { type: 'string', format: 'uuid', ...options })

/** A form (`application/x-www-form-urlencoded`), which its route reads by itself; `schema` describes it. */
export const FormBody = (schema: SchemaOptions) =>
  customType<URLSearchParams | undefined>('FormBody', schema)

/** Unicode code points, which is how JSON Schema counts too. */
export const countCodePoints = (text: string): number => {
  let pairs = 0
  for (const _ of text.matchAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)) pairs++
  return text.length - pairs
}

/** NFC once more: in lower case there is a letter for what has none as a capital, such as J and a caron. */
export const normalizeEmail = (text: string): string =>
  text.trim().normalize('NFC').toLowerCase().normalize('NFC')

const canonicalId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The id, or one that nothing has: what is not canonical is looked up like any absent id. */
export const normalizeId = (text: string): string =>
  canonicalId.test(text) ? text : '00000000-0000-0000-0000-000000000000'

/** A body that is text of its own format, which its route reads by itself. */
export class TextBody {
  readonly type: string
  readonly text: string
  constructor(type: string, text: string) {
    this.type = type
    this.text = text
  }
}

/** A body of one of several formats; `schema` describes the JSON one. */
export const FileBody = (schema: SchemaOptions) => customType<unknown>('FormBody', schema)

/** For routes that take no body: nothing at all, or `{}`, which some clients always send. */
export const NoBody = Type.Union([
  Type.Undefined(),
  Type.Object({}, { additionalProperties: false }),
])

/** The answer with no content: a 204. */
export const NoContent = Type.Void()
