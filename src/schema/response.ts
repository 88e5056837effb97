import { Kind, type Static, type TSchema, Type, TypeRegistry } from '@sinclair/typebox'
import { compileSchema } from './compile.ts'

/**
 * The schema of a response body: documented completely, but checked only for its members and their JSON types, so
 * that a new column or a secret is never returned by accident.
 *
 * The content of texts was checked when it was stored, and the tests check responses against the whole schema.
 * Checking every text and time of a page here cost more than everything else in the process.
 */
export const ResponseBody = <Schema extends TSchema>(schema: Schema) =>
  Type.Unsafe<Static<Schema>>({ ...schema, [Kind]: 'ResponseBody' })

type Check = ReturnType<typeof compileSchema>

/** By schema, compiled at first use, because Elysia may copy the schema. */
const checks = new WeakMap<TSchema, Check>()

TypeRegistry.Set('ResponseBody', (schema: TSchema, value) => {
  let check = checks.get(schema)
  if (check === undefined) {
    check = compileSchema(typeOnly(schema))
    checks.set(schema, check)
  }
  return check.matches(value)
})

/** The schema reduced to JSON types, closed at every depth. */
const typeOnly = (schema: TSchema): TSchema => {
  if ('const' in schema) return Type.Literal(schema.const)
  if (schema.anyOf) return Type.Union((schema.anyOf as TSchema[]).map(typeOnly))
  if (Array.isArray(schema.type))
    return Type.Union(schema.type.map((type) => typeOnly({ ...schema, type })))
  switch (schema.type) {
    case 'object':
      return objectType(schema)
    case 'array':
      return Type.Array(typeOnly(schema.items))
    case 'string':
      return Type.String()
    case 'integer':
      return Type.Integer()
    case 'boolean':
      return Type.Boolean()
    case 'null':
      return Type.Null()
    default:
      throw new Error(`a response of type ${schema.type}`)
  }
}

const objectType = ({ properties, required = [] }: TSchema): TSchema => {
  const members = Object.entries(properties as Record<string, TSchema>).map(([name, member]) => {
    const types = typeOnly(member)
    return [name, required.includes(name) ? types : Type.Optional(types)]
  })
  return Type.Object(Object.fromEntries(members), { additionalProperties: false })
}
