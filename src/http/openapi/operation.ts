import type { DocumentDecoration } from 'elysia'
import type { ProblemCode } from '../problem.ts'
import { problemCatalogue } from '../problem-catalogue.ts'
import { headerParameters, headerRefs, type RequestHeader, type ResponseHeader } from './headers.ts'
import { protectedBy } from './info.ts'
import {
  anyProblem,
  byStatus,
  commonCodes,
  headersOf,
  isCommon,
  problemResponse,
} from './problem-responses.ts'
import { exampleOf, isEmpty, isOptional, plain, type Schema, type Schemas } from './schemas.ts'

declare module 'elysia' {
  interface DocumentDecoration {
    /** Headers of a successful response, in addition to the `x-headers` of its schema. */
    'x-headers'?: readonly ResponseHeader[]
    /** Request headers that the route uses. */
    'x-takes'?: readonly RequestHeader[]
    /** Media types of a successful response; JSON if absent. */
    'x-produces'?: readonly string[]
    /** Examples of the body or the response in media types other than JSON. */
    'x-examples'?: Readonly<Record<string, unknown>>
  }
}

type Media = Record<string, { schema: Schema; example?: unknown; examples?: unknown }>
type Parameter = { in: string; name: string; examples?: unknown[]; schema: Schema }

/** A response as @elysiajs/swagger generates it: the members of the schema are spread over it. */
type GeneratedResponse = Schema & {
  content?: Media
  description?: string
  'x-codes'?: ProblemCode[]
  'x-headers'?: ResponseHeader[]
}
/** An operation as @elysiajs/swagger generates it. */
export type GeneratedOperation = Omit<
  DocumentDecoration,
  'parameters' | 'requestBody' | 'responses'
> & {
  parameters?: Parameter[]
  requestBody?: { content: Media }
  responses: Record<string, GeneratedResponse>
}

const securityOf = (generated: GeneratedOperation) => {
  if (generated.security?.length === 0) return []
  const places = generated['x-refresh-token'] ?? []
  return [
    ...protectedBy,
    ...(places.includes('cookie') ? [{ refreshCookie: [] }] : []),
    // OpenAPI has no scheme for a token in the body.
    ...(places.includes('body') ? [{}] : []),
  ]
}

/** The same operation in valid OpenAPI, with the problems and headers that its route does not declare. */
export const toOperation = (generated: GeneratedOperation, schemas: Schemas) => {
  const { operationId, summary, description, tags } = generated
  const accepts = generated['x-accepts'] ?? json
  const body = Object.values(generated.requestBody?.content ?? {})[0]?.schema

  return {
    operationId,
    summary,
    ...(description !== undefined && { description }),
    tags,
    security: securityOf(generated),
    parameters: [
      ...(generated.parameters ?? []).map(toParameter),
      ...headerParameters(generated['x-takes'] ?? []),
    ],
    ...(body !== undefined &&
      !isEmpty(body) && {
        requestBody: {
          required: !isOptional(body),
          content: contentOf(plain(body), accepts, { schemas, generated }),
        },
      }),
    responses: responsesOf(generated, schemas),
  }
}

const json = ['application/json']

/**
 * Examples are moved into the schema: Swagger UI fills its form with the examples of a parameter, and would use
 * all filters at once.
 */
const toParameter = ({ examples, schema, ...rest }: Parameter) => ({
  ...rest,
  schema: plain({ ...schema, ...(examples !== undefined && { examples }) }),
})

type Context = { schemas: Schemas; generated: GeneratedOperation }

/** JSON and forms get the schema, other media types are text. */
const contentOf = (
  schema: Schema,
  types: readonly string[],
  { schemas, generated }: Context,
): Media => {
  const structure = types.length > 1 ? withoutText(schema) : schema
  return Object.fromEntries(
    types.map((type) => [
      type,
      /[/+]json$|-urlencoded$/.test(type)
        ? { schema: structure, example: exampleOf(structure, schemas) }
        : { schema: textOf(type, structure), example: generated['x-examples']?.[type] },
    ]),
  )
}

/** A text. The events of a stream are described by the schema of one. */
const textOf = (type: string, contentSchema: Schema): Schema =>
  type === 'text/event-stream' ? { type: 'string', contentSchema } : { type: 'string' }

/** Drops the text alternative, which is for other media types. */
const withoutText = (schema: Schema): Schema => {
  const [structure, ...more] = schema.anyOf?.filter(({ type }) => type !== 'string') ?? []
  return structure !== undefined && more.length === 0 ? structure : schema
}

/**
 * The responses of this operation only. Problems and headers that most operations have are described once, at the top of
 * the document, and `default` stands for them. Not `4XX`: the client that orval generates from it does not compile.
 */
const responsesOf = (generated: GeneratedOperation, schemas: Schemas) => {
  const declared = Object.entries(generated.responses)
  const codes = declared.flatMap(([, response]) => response['x-codes'] ?? [])

  const responses: Record<string, { description: string; headers?: object; content?: Media }> = {}
  for (const [status, response] of declared)
    if (response.$id !== 'Problem')
      responses[status] = {
        description: response.description ?? phrases[status] ?? 'The response',
        ...headerRefs(headersWith(status, response, generated)),
        ...(status !== '204' &&
          status !== '304' && { content: successContent(response, generated, schemas) }),
      }

  // Where a status has a response of another form, the common problems of the status are listed too.
  const listed = [
    ...codes.filter((code) => !isCommon(code)),
    ...commonCodes.filter((code) => problemCatalogue[code].status in responses),
  ]
  for (const [status, shared] of byStatus(listed)) {
    const problem = problemResponse(shared)
    const other = responses[status]
    responses[status] = {
      description: [other?.description, problem.description].filter(Boolean).join('\n\n'),
      ...headerRefs(shared.flatMap(headersOf)),
      content: { ...other?.content, ...problem.content },
    }
  }
  return { ...responses, default: anyProblem }
}

const phrases: Record<string, string> = {
  200: 'Done',
  201: 'Created',
  204: 'Done, without content',
  304: 'Not modified',
}

const headersWith = (
  status: string,
  response: GeneratedResponse,
  generated: GeneratedOperation,
): ResponseHeader[] => [
  ...(status === '201' ? ['Location' as const] : []),
  ...(status === '304' ? ['ETag' as const] : []),
  ...(response['x-headers'] ?? []),
  ...(status.startsWith('2') ? (generated['x-headers'] ?? []) : []),
]

const successContent = (
  response: GeneratedResponse,
  generated: GeneratedOperation,
  schemas: Schemas,
): Media => {
  const [media] = Object.values(response.content ?? {})
  const { $id } = response
  const schema = $id === undefined ? media?.schema : { $id }
  return contentOf(plain(schema ?? {}), generated['x-produces'] ?? json, { schemas, generated })
}
