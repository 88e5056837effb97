import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { Random } from '../support/walk-pages.ts'
import { texts } from './corpus.ts'

// biome-ignore lint/suspicious/noExplicitAny: a document of any shape
type Json = any
export type Operation = {
  id: string
  method: string
  /** With `:name` for a parameter, as in the routes. */
  path: string
  query: { name: string; schema: Json }[]
  headers: { name: string; schema: Json }[]
  /** The schemas by media type. */
  bodies: { type: string; schema: Json }[]
  mayBeEmpty: boolean
}

/** Formats that the position alone does not tell: an id of a user's row, a password. */
type Say = (name: string, random: Random) => string | undefined

/** The operations of the OpenAPI document, their inputs, and valid values for them. */
export const readDocument = (document: Json, say: Say = () => undefined) => {
  const resolved = (schema: Json): Json =>
    schema?.$ref === undefined
      ? (schema ?? {})
      : resolved(
          schema.$ref
            .slice(2)
            .split('/')
            .reduce((at: Json, key: string) => at[key], document),
        )

  const object = (schema: Json, random: Random): Json => {
    const value: Json = {}
    for (const [name, member] of Object.entries<Json>(schema.properties ?? {}))
      if (schema.required?.includes(name) || random.chance(50))
        value[name] = made(member, random, name)
    const names = Object.keys(schema.properties ?? {})
    if (Object.keys(value).length < (schema.minProperties ?? 0)) {
      const name = random.of(names)
      value[name] = made(schema.properties[name], random, name)
    }
    return value
  }

  const array = (
    { items, minItems = 0, maxItems = 5, uniqueItems }: Json,
    random: Random,
    name: string,
  ) => {
    const some = Math.max(minItems, random.below(Math.min(maxItems, 4) + 1))
    const length = random.chance(2) ? maxItems : some
    const values = Array.from({ length }, () => made(items, random, name))
    return uniqueItems
      ? [...new Map(values.map((one) => [JSON.stringify(one), one])).values()]
      : values
  }

  /** A value that the schema allows. `name` is the member that it is for. */
  const made = (given: Json, random: Random, name = ''): Json => {
    const schema = resolved(given)
    if ('const' in schema) return schema.const
    if (schema.enum) return random.of(schema.enum)
    const either = schema.anyOf ?? schema.oneOf
    if (either) return made(random.of(either), random, name)
    const type = Array.isArray(schema.type) ? random.of<string>(schema.type) : schema.type
    switch (type) {
      case 'object':
        return object(schema, random)
      case 'array':
        return array(schema, random, name)
      case 'string':
        return say(name, random) ?? textFor(schema, random)
      case 'integer':
      case 'number':
        return wholeFor(schema, random)
      case 'boolean':
        return random.chance(50)
      case 'null':
        return null
      default:
        return random.of([null, 0, '', 'x', true, [], {}])
    }
  }

  const operations: Operation[] = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(
      ([method, { operationId, parameters = [], requestBody }]) => ({
        id: operationId,
        method: method.toUpperCase(),
        path: path.replace(/\{(\w+)\}/g, ':$1'),
        query: parameters.filter((one: Json) => one.in === 'query'),
        headers: parameters.filter((one: Json) => one.in === 'header'),
        bodies: Object.entries<Json>(requestBody?.content ?? {}).map(([mediaType, { schema }]) => ({
          type: mediaType,
          schema,
        })),
        mayBeEmpty: requestBody?.required !== true,
      }),
    ),
  )

  return { operations, made, resolved, fits: checkerOf(document) }
}

const textFor = ({ format, minLength = 0, maxLength = 300 }: Json, random: Random): string => {
  if (format === 'date-time') return instant(random)
  if (format === 'date') return instant(random).slice(0, 10)
  if (format === 'email') return `${Bun.randomUUIDv7()}@${random.of(['example.test', 'b', 'ä.é'])}`
  if (format === 'uuid') return Bun.randomUUIDv7()
  if (format === 'uri')
    return `https://${Bun.randomUUIDv7()}.example/${random.of(['', 'x?y=z', 'ä'])}`
  const length = random.of([
    minLength,
    minLength + 1,
    Math.min(maxLength, minLength + random.below(40)),
    ...(random.chance(10) ? [maxLength, maxLength - 1] : []),
  ])
  const unit = random.chance(50) ? undefined : random.of(units)
  const kept = [...random.of(texts)].filter((one) => one !== '\0' && one.isWellFormed())
  const filler = unit === undefined ? kept : [...unit]
  const characters = Array.from({ length }, (_, at) => filler[at % filler.length] ?? 'x')
  // A title must not be blank, which the document cannot express.
  if (length > 0) characters[0] = random.of(['a', 'é', '😀', '=', '"'])
  return characters.join('')
}

const units = ['a', '😀', '👩‍👩‍👧', 'e\u0301', '\u202e', '漢字', '"', '\\', '%_', '\u2028', '\r\n']

const instant = (random: Random): string => {
  const day = new Date(Date.UTC(1 + random.below(9998), random.below(12), 1 + random.below(28)))
  day.setUTCFullYear(2 + random.below(9996))
  const zone = random.of(['Z', 'z', '+00:00', '-23:59', '+14:00'])
  return `${day.toISOString().slice(0, 10)}T${random.of(['00:00:00', '23:59:59'])}${random.of(['', '.5', '.999'])}${zone}`
}

const wholeFor = ({ minimum = -1000, maximum = 1000 }: Json, random: Random): number =>
  random.of([minimum, maximum, minimum + random.below(Math.min(maximum - minimum, 1000))])

/** Whether an independent validator accepts a body for a schema. */
const checkerOf = (document: Json) => {
  const ajv = formats.default(new Ajv2020({ strict: false }))
  // These formats of the service differ from those of the validator.
  for (const format of ['email', 'uuid', 'uri']) ajv.addFormat(format, true)
  ajv.addSchema({ $id: 'https://test/', components: document.components })
  const compiled = new Map<Json, ReturnType<typeof ajv.compile>>()
  return (schema: Json, value: unknown): boolean => {
    const absolute = () => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"https://test/#/'))
    const check = compiled.get(schema) ?? ajv.compile(absolute())
    compiled.set(schema, check)
    return check(value) === true
  }
}
