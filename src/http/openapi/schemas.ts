/** The part of JSON Schema 2020-12 that is used here. */
export type Schema = {
  $id?: string
  $ref?: string
  type?: string | string[]
  format?: string
  const?: unknown
  enum?: unknown[]
  examples?: unknown[]
  minimum?: number
  properties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
  [keyword: string]: unknown
}
export type Schemas = Record<string, Schema>

/**
 * Turns a schema of TypeBox, Elysia or `schema/types.ts` into plain JSON Schema. A schema with an `$id` becomes a
 * reference.
 */
export const plain = (schema: Schema): Schema =>
  schema.$id === undefined
    ? unnamed(schema)
    : { $ref: `#/components/schemas/${schema.$id}`, ...defaultOf(schema) }

/** `x-default` documents a default. With `default`, the validator would insert it. */
const defaultOf = (schema: Schema) =>
  'x-default' in schema ? { default: schema['x-default'] } : {}

/** Every schema with an `$id`, at any depth, under its name. */
export const collectNamed = (schemas: Schema[]): Schemas => {
  const found: Schemas = {}
  const collect = (schema: Schema): void => {
    if (schema.$id !== undefined) {
      const schemaWithoutId = unnamed(schema)
      const before = found[schema.$id]
      if (before !== undefined && !Bun.deepEquals(before, schemaWithoutId))
        throw new Error(`two schemas are named ${schema.$id}`)
      found[schema.$id] = schemaWithoutId
    }
    parts(schema).forEach(collect)
  }
  schemas.forEach(collect)
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
}

const parts = ({
  properties = {},
  items,
  anyOf = [],
  allOf = [],
  oneOf = [],
}: Schema): Schema[] => [
  ...Object.values(properties),
  ...(items === undefined ? [] : [items]),
  ...anyOf,
  ...(allOf as Schema[]),
  ...(oneOf as Schema[]),
]

/** Keywords of this service, which JSON Schema does not have. */
const internal = new Set([
  '$id',
  'nullable',
  'blank',
  'x-codes',
  'x-default',
  'x-headers',
  'x-key',
  'x-minutes-max',
  'x-most',
])

const unnamed = (schema: Schema): Schema => {
  const { anyOf } = schema
  if (anyOf !== undefined) {
    const left = alternatives(anyOf)
    if (left.length === 1 && left[0] !== undefined) return plain(left[0])
  }
  const entries = Object.entries(schema).filter(([keyword]) => !internal.has(keyword))
  return {
    ...Object.fromEntries(entries.map(([keyword, value]) => [keyword, toPlain(keyword, value)])),
    ...(schema.$id === undefined && defaultOf(schema)),
  }
}

const toPlain = (keyword: string, value: unknown): unknown => {
  if (keyword === 'properties')
    return Object.fromEntries(
      Object.entries(value as Schemas).map(([name, schema]) => [name, plain(schema)]),
    )
  if (keyword === 'anyOf') return alternatives(value as Schema[]).map(plain)
  if (keyword === 'allOf' || keyword === 'oneOf') return (value as Schema[]).map(plain)
  return keyword === 'items' ? plain(value as Schema) : value
}

/** Drops `undefined`, and the text that Elysia accepts for an integer in queries. */
const alternatives = (anyOf: Schema[]): Schema[] =>
  anyOf.filter(({ type, format }) => {
    const coerced = type === 'string' && (format === 'integer' || format === 'numeric')
    return type !== 'undefined' && !coerced
  })

/** Whether the value may be absent. */
export const isOptional = ({ anyOf = [], type }: Schema): boolean =>
  type === 'undefined' || anyOf.some((one) => one.type === 'undefined')

/** Whether a schema accepts nothing, or only the empty object that some clients always send. */
export const isEmpty = (schema: Schema): boolean => {
  if (schema.anyOf !== undefined) return schema.anyOf.every(isEmpty)
  const { type, properties = {}, additionalProperties } = schema
  if (type === 'object')
    return additionalProperties === false && Object.keys(properties).length === 0
  return type === 'undefined' || type === 'void'
}

/** An example value of a plain schema, from the examples in it. */
export const exampleOf = (schema: Schema, schemas: Schemas): unknown => {
  const { $ref, examples, type, anyOf } = schema
  if ($ref !== undefined) return exampleOf(schemas[$ref.split('/').at(-1) ?? ''] ?? {}, schemas)
  if ('const' in schema) return schema.const
  if (examples !== undefined) return examples[0]
  if (schema.enum !== undefined) return schema.enum[0]
  if (anyOf?.[0] !== undefined) return exampleOf(anyOf[0], schemas)
  if (Array.isArray(type)) return null
  if (type === 'array') return schema.items === undefined ? [] : [exampleOf(schema.items, schemas)]
  if (type === 'boolean') return false
  if (type === 'integer' || type === 'number') return schema.minimum ?? 0
  if (type === 'string') return exampleText(schema)
  return Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, one]) => [name, exampleOf(one, schemas)]),
  )
}

export const exampleId = '0199e2b3-6f4a-7c31-9d5e-8a1b2c3d4e5f'

const exampleText = ({ format }: Schema): string => {
  if (format === 'uuid') return exampleId
  if (format === 'date-time') return '2026-11-20T23:16:35.474Z'
  if (format === 'uri') return 'https://example.com/'
  return format === 'email' ? 'ada@example.com' : '…'
}
