import type { Static, TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { lazy } from '../lazy.ts'

/** The check of a schema, compiled for the first value that it is asked about: each would take 2 to 5 ms of a start. */
export const compileSchema = <Schema extends TSchema>(schema: Schema) => {
  const check = lazy(() => {
    const compiled = TypeCompiler.Compile(schema)
    return () => compiled
  })
  return {
    matches: (value: unknown): value is Static<Schema> => check().Check(value),
    errorsOf: (value: unknown) => check().Errors(value),
  }
}
