import { type SchemaOptions, type Static, type TSchema, Type } from '@sinclair/typebox'
import { customType } from './validators.ts'

/** A form body (`application/x-www-form-urlencoded`). The route parses it; `schema` documents it. */
export const FormBody = (schema: SchemaOptions) =>
  customType<URLSearchParams | undefined>('FormBody', schema)

/** A body in one of several formats; `schema` documents the JSON format. */
export const FileBody = (schema: SchemaOptions) => customType<unknown>('FormBody', schema)

/** A body that its route validates, together with rules that no schema expresses; `schema` documents it. */
export const RouteValidated = <Schema extends TSchema>(schema: Schema) =>
  customType<Static<Schema>>('FormBody', schema)

/** A body that is neither JSON nor a form. The route parses it. */
export class TextBody {
  readonly type: string
  readonly text: string
  constructor(type: string, text: string) {
    this.type = type
    this.text = text
  }
}

/** For routes without a body: nothing, or `{}`, which some clients always send. */
export const NoBody = Type.Union([
  Type.Undefined(),
  Type.Object({}, { additionalProperties: false }),
])

/** A 204 response. */
export const NoContent = Type.Void()
