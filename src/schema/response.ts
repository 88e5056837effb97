import { Kind, type Static, type TSchema, Type, TypeRegistry } from '@sinclair/typebox'
import { compileSchema } from './compile.ts'

/**
 * What a route answers, described in full, and checked for what a mistake of ours could tell or leave
 * out: that it has the members it should and no others, each of its JSON type.
 *
 * It is the net that keeps a new column, or a secret, from being answered by accident. What a
 * text looks like was checked when it came in, and the tests hold each answer against its whole
 * schema: here, checking every text and time of a page again cost more than all else in this process.
 */
export const ResponseBody = <Schema extends TSchema>(schema: Schema) =>
  Type.Unsafe<Static<Schema>>({ ...schema, [Kind]: 'ResponseBody' })

type Check = ReturnType<typeof compileSchema>

/** By schema, made when it is first needed: a framework may have copied it meanwhile. */
const checks = new WeakMap<TSchema, Check>()

TypeRegistry.Set('ResponseBody', (schema: TSchema, value) => {
  let check = checks.get(schema)
  if (check === undefined) {
    check = compileSchema(typeOnly(schema))
    checks.set(schema, check)
  }
  return check.matches(value)
})

/** The same schema without all that it says of a value beyond its type, closed at every depth. */
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
      throw new Error(`an answer of type ${schema.type}`)
  }
}

const objectType = ({ properties, required = [] }: TSchema): TSchema => {
  const members = Object.entries(properties as Record<string, TSchema>).map(([name, member]) => {
    const types = typeOnly(member)
    return [name, required.includes(name) ? types : Type.Optional(types)]
  })
  return Type.Object(Object.fromEntries(members), { additionalProperties: false })
}
