import type { DocumentDecoration } from 'elysia'
import type { ProblemCode } from '../problem.ts'
import {
  countedHeaders,
  headerParameters,
  headerRefs,
  type RequestHeader,
  type ResponseHeader,
} from './headers.ts'
import { protectedBy } from './info.ts'
import {
  anyProblem,
  byStatus,
  codesOf,
  generalCodes,
  headersOf,
  problemResponse,
  type Trait,
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

/** The same operation in valid OpenAPI, with the problems and headers that its route does not declare. */
export const toOperation = (generated: GeneratedOperation, schemas: Schemas) => {
  const { operationId, summary, description, tags } = generated
  const accepts = generated['x-accepts'] ?? json
  const body = Object.values(generated.requestBody?.content ?? {})[0]?.schema
  const trait: Trait = {
    isPublic: generated.security?.length === 0,
    readsProfile: operationId === 'getCurrentUser',
    counted: generated['x-rate-limit'] !== 'none',
    body: body !== undefined && !isEmpty(body),
    form: accepts.includes('application/x-www-form-urlencoded'),
    query: generated.parameters?.some((parameter) => parameter.in === 'query') ?? false,
    takes: generated['x-takes'] ?? [],
  }

  return {
    operationId,
    summary,
    ...(description !== undefined && { description }),
    tags,
    security: trait.isPublic ? [] : protectedBy,
    parameters: [
      ...(generated.parameters ?? []).map(toParameter),
      ...headerParameters(trait.takes),
    ],
    ...(body !== undefined &&
      trait.body && {
        requestBody: {
          required: !isOptional(body),
          content: contentOf(plain(body), accepts, { schemas, generated }),
        },
      }),
    responses: responsesOf(generated, trait, schemas),
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
        : { schema: { type: 'string' }, example: generated['x-examples']?.[type] },
    ]),
  )
}

/** Drops the text alternative, which is for other media types. */
const withoutText = (schema: Schema): Schema => {
  const [structure, ...more] = schema.anyOf?.filter(({ type }) => type !== 'string') ?? []
  return structure !== undefined && more.length === 0 ? structure : schema
}

const responsesOf = (generated: GeneratedOperation, trait: Trait, schemas: Schemas) => {
  const common: ResponseHeader[] = ['X-Request-Id', ...(trait.counted ? countedHeaders : [])]
  const declared = Object.entries(generated.responses)
  const codes = declared
    .filter(([, { $id }]) => $id === 'Problem')
    .flatMap(([status, response]) => response['x-codes'] ?? codesOf(Number(status)))

  const responses: Record<string, { description: string; headers: object; content?: Media }> = {}
  for (const [status, response] of declared)
    if (response.$id !== 'Problem')
      responses[status] = {
        description: response.description ?? phrases[status] ?? 'The response',
        headers: headerRefs([...common, ...headersWith(status, response, generated)]),
        ...(status !== '204' &&
          status !== '304' && { content: successContent(response, generated, schemas) }),
      }

  for (const [status, shared] of byStatus([...codes, ...generalCodes(trait)])) {
    const problem = problemResponse(shared)
    const other = responses[status]
    responses[status] = {
      description: [other?.description, problem.description].filter(Boolean).join('\n\n'),
      headers: headerRefs([...common, ...shared.flatMap(headersOf)]),
      content: { ...other?.content, ...problem.content },
    }
  }
  return { ...responses, default: { ...anyProblem, headers: headerRefs(common) } }
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
