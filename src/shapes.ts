import {
  Kind,
  type SchemaOptions,
  type TSchema,
  type TUnsafe,
  Type,
  TypeRegistry,
} from '@sinclair/typebox'
import { toUtc } from './instants.ts'

/**
 * The leaves of every schema.
 *
 * They are kinds of our own because the stock ones let through what the contract
 * refuses: `maxLength` counts UTF-16 units, `t.Integer` takes "1", `t.Date` takes
 * 30 February, query numbers take `1e3` and `0x10`. Each says what is wrong in
 * words for a client, and what it is in JSON Schema.
 */
type Why = (value: unknown, schema: TSchema) => string | undefined

const kinds = {
  Text: (value, { minLength, maxLength, blank }) => {
    if (typeof value !== 'string') return 'must be a string'
    if (value.includes('\0')) return 'must not contain U+0000'
    if (!value.isWellFormed()) return 'must not contain unpaired surrogates'
    const length = codePoints(value)
    if (length < minLength)
      return `must have at least ${minLength} character${minLength === 1 ? '' : 's'}`
    if (length > maxLength) return `must have at most ${maxLength} characters`
    return blank === false && value.trim() === '' ? 'must not be blank' : undefined
  },
  Email: (value) => {
    if (typeof value !== 'string') return 'must be a string'
    const email = canonicalEmail(value)
    if (codePoints(email) > 254) return 'must have at most 254 characters'
    return /^[^\s@\0]+@[^\s@\0]+$/.test(email) && email.isWellFormed()
      ? undefined
      : 'must be an e-mail address'
  },
  Instant: (value) =>
    typeof value === 'string' && toUtc(value) !== undefined
      ? undefined
      : 'must be an RFC 3339 date-time with at most 3 fraction digits, in the years 0001 to 9999',
  OneOf: (value, schema) =>
    typeof value === 'string' && (schema.enum as unknown[]).includes(value)
      ? undefined
      : `must be one of ${(schema.enum as unknown[]).filter((one) => one !== null).join(', ')}`,
  Flag: (value) => (value === 'true' || value === 'false' ? undefined : 'must be true or false'),
  Whole: (value, { minimum, maximum }) =>
    Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum
      ? undefined
      : `must be a whole number from ${minimum} to ${maximum}`,
  Digits: (value, { minimum, maximum }) =>
    typeof value === 'string' &&
    /^(0|[1-9]\d{0,8})$/.test(value) &&
    Number(value) >= minimum &&
    Number(value) <= maximum
      ? undefined
      : `must be a whole number from ${minimum} to ${maximum}`,
  Repeated: (value, { items, maxItems }) => {
    const values = [value].flat()
    if (values.length > maxItems) return `must be given at most ${maxItems} times`
    return values.map((one) => whyNot(items, one)).find((why) => why !== undefined)
  },
  Id: () => undefined,
  Form: () => undefined,
} satisfies Record<string, Why>

const whyOf = (kind: string): Why | undefined => (kinds as Record<string, Why>)[kind]

for (const [kind, why] of Object.entries<Why>(kinds))
  TypeRegistry.Set(
    kind,
    (schema: TSchema, value) =>
      (value === null && schema.nullable === true) || why(value, schema) === undefined,
  )

/** Why a value is not of a shape of this file, in words that follow its pointer; nothing for other schemas. */
export const whyNot = (schema: TSchema, value: unknown): string | undefined => {
  const why = whyOf(schema[Kind])?.(value, schema)
  return why && schema.nullable === true ? `${why}, or null` : why
}

type Options = SchemaOptions & { nullable?: boolean }
type Nullable<T, O extends Options> = O extends { nullable: true } ? T | null : T

const shape = <T>(kind: keyof typeof kinds, options: SchemaOptions): TUnsafe<T> =>
  Type.Unsafe<T>({ ...options, [Kind]: kind })

const jsonType = ({ nullable }: Options) => (nullable ? ['string', 'null'] : 'string')

/** Text of `min` to `max` Unicode code points, which PostgreSQL can store. `blank: false` asks for a character that is not white space. */
export const Text = <const O extends Options & { min: number; max: number; blank?: false }>({
  min,
  max,
  ...options
}: O) =>
  shape<Nullable<string, O>>('Text', {
    type: jsonType(options),
    minLength: min,
    maxLength: max,
    ...options,
  })

/** An e-mail; compared and stored as `canonicalEmail` gives it. */
export const Email = <const O extends Options>(options: O) =>
  shape<Nullable<string, O>>('Email', {
    type: jsonType(options),
    format: 'email',
    maxLength: 254,
    ...options,
  })

/** RFC 3339 with any offset; `toUtc` gives the one form that is stored. */
export const Instant = <const O extends Options>(options: O) =>
  shape<Nullable<string, O>>('Instant', {
    type: jsonType(options),
    format: 'date-time',
    ...options,
  })

export const OneOf = <const Values extends readonly string[]>(
  values: Values,
  options: SchemaOptions = {},
) => shape<Values[number]>('OneOf', { type: 'string', enum: values, ...options })

/** `true` or `false` in a query. */
export const Flag = (options: SchemaOptions = {}) =>
  shape<'true' | 'false'>('Flag', { type: 'boolean', ...options })

/** A whole number in a body. */
export const Whole = (options: SchemaOptions & { minimum: number; maximum: number }) =>
  shape<number>('Whole', { type: 'integer', ...options })

/** A query parameter that may be repeated: one value, or a list of them. */
export const Repeated = (items: TSchema, options: SchemaOptions & { maxItems: number }) =>
  shape<string | string[]>('Repeated', { type: 'array', items, ...options })

/** A whole number in a query, in plain decimal digits. */
export const Digits = (options: SchemaOptions & { minimum: number; maximum: number }) =>
  shape<string>('Digits', { type: 'integer', ...options })

/** An id in a path. Takes anything: one that is not canonical is an id that does not exist. */
export const Id = (options: SchemaOptions = {}) =>
  shape<string>('Id', { type: 'string', format: 'uuid', ...options })

/** A form (`application/x-www-form-urlencoded`), which its route reads by itself; `schema` describes it. */
export const Form = (schema: SchemaOptions) => shape<URLSearchParams | undefined>('Form', schema)

/** Unicode code points, which is how JSON Schema counts too. */
export const codePoints = (text: string): number => {
  let pairs = 0
  for (const _ of text.matchAll(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)) pairs++
  return text.length - pairs
}

/** NFC once more: in lower case there is a letter for what has none as a capital, such as J and a caron. */
export const canonicalEmail = (text: string): string =>
  text.trim().normalize('NFC').toLowerCase().normalize('NFC')

const canonicalId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The id, or one that nothing has: what is not canonical is looked up like any absent id. */
export const idOf = (text: string): string =>
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
export const AnyFormat = (schema: SchemaOptions) => shape<unknown>('Form', schema)

/** For routes that take no body: nothing at all, or `{}`, which some clients always send. */
export const NoBody = Type.Union([
  Type.Undefined(),
  Type.Object({}, { additionalProperties: false }),
])

/** The answer with no content: a 204. */
export const NoContent = Type.Void()
