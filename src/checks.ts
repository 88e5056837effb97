import type { Static, TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { atFirstUse } from './at-first-use.ts'

/** The check of a schema, compiled for the first value that it is asked about: each would take 2 to 5 ms of a start. */
export const checkOf = <Schema extends TSchema>(schema: Schema) => {
  const check = atFirstUse(() => {
    const compiled = TypeCompiler.Compile(schema)
    return () => compiled
  })
  return {
    holds: (value: unknown): value is Static<Schema> => check().Check(value),
    errorsOf: (value: unknown) => check().Errors(value),
  }
}
