import { Kind, type Static, type TSchema, Type, TypeRegistry } from '@sinclair/typebox'

/**
 * What a route answers, described in full, and checked for what a mistake of ours could tell or leave
 * out: that it has the members it should and no others, each of its JSON type.
 *
 * It is the net that keeps a new column, or a secret, from being answered by accident. What a
 * text looks like was checked when it came in, and the tests hold each answer against its whole
 * schema: here, checking every text and time of a page again cost more than all else in this process.
 */
export const Answer = <Schema extends TSchema>(schema: Schema) =>
  Type.Unsafe<Static<Schema>>({ ...schema, [Kind]: 'Answer' })

type Check = (value: unknown) => boolean

/** By schema, made when it is first needed: a framework may have copied it meanwhile. */
const checks = new WeakMap<TSchema, Check>()

TypeRegistry.Set('Answer', (schema: TSchema, value) => {
  let check = checks.get(schema)
  if (check === undefined) {
    check = checkOf(schema)
    checks.set(schema, check)
  }
  return check(value)
})

const checkOf = (schema: TSchema): Check => {
  if ('const' in schema) return (value) => value === schema.const
  if (schema.anyOf) {
    const either = (schema.anyOf as TSchema[]).map(checkOf)
    return (value) => either.some((check) => check(value))
  }
  const ofTypes = [schema.type].flat().map((type) => checkOfType(type, schema))
  const [check, ...others] = ofTypes
  if (check === undefined) throw new Error('an answer of no type')
  return others.length === 0 ? check : (value) => ofTypes.some((check) => check(value))
}

const checkOfType = (type: unknown, schema: TSchema): Check => {
  switch (type) {
    case 'object':
      return objectOf(schema)
    case 'array': {
      const item = checkOf(schema.items)
      return (value) => Array.isArray(value) && value.every(item)
    }
    case 'null':
      return (value) => value === null
    case 'integer':
      return Number.isSafeInteger
    case 'string':
    case 'boolean':
      return (value) => typeof value === type
    default:
      throw new Error(`an answer of type ${type}`)
  }
}

/** Closed: all that it must have, and nothing that it does not know. */
const objectOf = ({ properties, required = [] }: TSchema): Check => {
  const members = Object.entries(properties as Record<string, TSchema>).map(
    ([name, schema]): [string, Check, boolean] => [name, checkOf(schema), required.includes(name)],
  )
  return (value) => {
    if (typeof value !== 'object' || value === null) return false
    let known = 0
    for (const [name, check, isRequired] of members) {
      const member = (value as Record<string, unknown>)[name]
      if (member === undefined && !isRequired) known += name in value ? 1 : 0
      else if (check(member)) known += 1
      else return false
    }
    let all = 0
    for (const _ in value) all += 1
    return all === known
  }
}
