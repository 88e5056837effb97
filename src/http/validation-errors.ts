import type { TSchema } from '@sinclair/typebox'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'
import type { ValidationError } from 'elysia'
import { explainMismatch } from '../schema/validators.ts'
import type { FieldError } from './problem.ts'

/** The faults of a request, one per place. They never contain what was sent. */
export const fieldErrorsOf = ({ validator, value, type }: ValidationError): FieldError[] =>
  'Errors' in validator
    ? toFieldErrors(validator.Errors(value), type === 'query' ? 'query' : 'body')
    : []

/** The faults for any errors of TypeBox: one per place, at most twenty. */
export const toFieldErrors = (
  errors: Iterable<ValueError>,
  where: FieldError['in'],
): FieldError[] => {
  const found = new Map<string, FieldError>()
  for (const { path, detail } of explained(errors, where)) {
    if (!found.has(path)) found.set(path, { in: where, pointer: shortened(path), detail })
    if (found.size >= fieldErrorsMax) break
  }
  return [...found.values()]
}

/** The detail for an unknown query parameter, on routes with and without a query schema. */
export const unknownParameter = 'is not a known parameter'

const fieldErrorsMax = 20
const shortened = (path: string) => (path.length > 200 ? `${path.slice(0, 200)}…` : path)

type Explained = { path: string; detail: string }

/** A generator, so that the caller can stop early. */
function* explained(errors: Iterable<ValueError>, where: FieldError['in']): Generator<Explained> {
  for (const error of errors) {
    const nested = error.type === ValueErrorType.Union ? inObject(error) : undefined
    if (nested) yield* explained(nested, where)
    else {
      const isMissing = error.type === ValueErrorType.ObjectRequiredProperty
      const mismatch = isMissing ? undefined : explainMismatch(error.schema, error.value)
      yield { path: error.path, detail: mismatch ?? describe(error, where) }
    }
    // TypeBox would check each item next, and there may be millions.
    if (error.type === ValueErrorType.ArrayMaxItems) return
  }
}

/** In a union, the errors of its object: the other alternatives stand for an absent body. */
const inObject = ({ schema, errors }: ValueError): Iterable<ValueError> | undefined =>
  errors[schema.anyOf.findIndex((one: TSchema) => one.type === 'object')]

const describe = ({ type, schema }: ValueError, where: FieldError['in']): string => {
  switch (type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return where === 'query' ? unknownParameter : 'is not a known member'
    case ValueErrorType.ObjectRequiredProperty:
      return 'is required'
    case ValueErrorType.Object:
      return 'must be an object'
    case ValueErrorType.Boolean:
      return 'must be true or false'
    case ValueErrorType.Array:
      return 'must be an array'
    case ValueErrorType.ArrayMinItems:
      return `must have at least ${schema.minItems} item${schema.minItems === 1 ? '' : 's'}`
    case ValueErrorType.ArrayMaxItems:
      return `must have at most ${schema.maxItems} items`
    case ValueErrorType.ArrayUniqueItems:
      return 'must not repeat an item'
    default:
      return 'is not valid'
  }
}
