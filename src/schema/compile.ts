import type { Static, TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { lazy } from '../lazy.ts'

/** A validator for a schema, compiled at its first use: each would add 2 to 5 ms to the start. */
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
