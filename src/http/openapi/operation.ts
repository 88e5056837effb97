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
    /** Headers of the route's success, besides those of its schema, which has `x-headers` too. */
    'x-headers'?: readonly ResponseHeader[]
    /** Headers of a request that the route heeds. */
    'x-takes'?: readonly RequestHeader[]
    /** Media types of the route's success; JSON where it says nothing. */
    'x-produces'?: readonly string[]
    /** What body or success look like in media types other than JSON. */
    'x-examples'?: Readonly<Record<string, unknown>>
  }
}

type Media = Record<string, { schema: Schema; example?: unknown; examples?: unknown }>
type Parameter = { in: string; name: string; examples?: unknown[]; schema: Schema }

/** A response as @elysiajs/swagger gives it: the schema's own members are spread over it. */
type Answered = Schema & {
  content?: Media
  description?: string
  'x-codes'?: ProblemCode[]
  'x-headers'?: ResponseHeader[]
}
/** An operation as @elysiajs/swagger gives it. */
export type Walked = Omit<DocumentDecoration, 'parameters' | 'requestBody' | 'responses'> & {
  parameters?: Parameter[]
  requestBody?: { content: Media }
  responses: Record<string, Answered>
}

/** The same operation in valid OpenAPI, with all that goes without saying in its route. */
export const operation = (walked: Walked, schemas: Schemas) => {
  const { operationId, summary, description, tags } = walked
  const accepts = walked['x-accepts'] ?? json
  const body = Object.values(walked.requestBody?.content ?? {})[0]?.schema
  const trait: Trait = {
    open: walked.security?.length === 0,
    readsProfile: operationId === 'readMe',
    counted: walked['x-budget'] !== 'none',
    body: body !== undefined && !isEmpty(body),
    form: accepts.includes('application/x-www-form-urlencoded'),
    query: walked.parameters?.some((parameter) => parameter.in === 'query') ?? false,
    takes: walked['x-takes'] ?? [],
  }

  return {
    operationId,
    summary,
    ...(description !== undefined && { description }),
    tags,
    security: trait.open ? [] : protectedBy,
    parameters: [...(walked.parameters ?? []).map(parameterOf), ...headerParameters(trait.takes)],
    ...(body !== undefined &&
      trait.body && {
        requestBody: {
          required: !isOptional(body),
          content: contentOf(plain(body), accepts, { schemas, walked }),
        },
      }),
    responses: responsesOf(walked, trait, schemas),
  }
}

const json = ['application/json']

/**
 * Its examples go into the schema: Swagger UI fills its form with those of a parameter,
 * and would filter by all of them at once.
 */
const parameterOf = ({ examples, schema, ...rest }: Parameter) => ({
  ...rest,
  schema: plain({ ...schema, ...(examples !== undefined && { examples }) }),
})

type Context = { schemas: Schemas; walked: Walked }

/** JSON and forms have the schema; in other media types the same comes as text. */
const contentOf = (
  schema: Schema,
  types: readonly string[],
  { schemas, walked }: Context,
): Media => {
  const structure = types.length > 1 ? withoutText(schema) : schema
  return Object.fromEntries(
    types.map((type) => [
      type,
      /[/+]json$|-urlencoded$/.test(type)
        ? { schema: structure, example: exampleOf(structure, schemas) }
        : { schema: { type: 'string' }, example: walked['x-examples']?.[type] },
    ]),
  )
}

/** What is text in other media types is none in JSON. */
const withoutText = (schema: Schema): Schema => {
  const [structure, ...more] = schema.anyOf?.filter(({ type }) => type !== 'string') ?? []
  return structure !== undefined && more.length === 0 ? structure : schema
}

const responsesOf = (walked: Walked, trait: Trait, schemas: Schemas) => {
  const common: ResponseHeader[] = ['X-Request-Id', ...(trait.counted ? countedHeaders : [])]
  const columnDefinitions = Object.entries(walked.responses)
  const codes = columnDefinitions
    .filter(([, { $id }]) => $id === 'Problem')
    .flatMap(([status, answered]) => answered['x-codes'] ?? codesOf(Number(status)))

  const responses: Record<string, { description: string; headers: object; content?: Media }> = {}
  for (const [status, answered] of columnDefinitions)
    if (answered.$id !== 'Problem')
      responses[status] = {
        description: answered.description ?? phrases[status] ?? 'The answer',
        headers: headerRefs([...common, ...headersWith(status, answered, walked)]),
        ...(status !== '204' &&
          status !== '304' && { content: successContent(answered, walked, schemas) }),
      }

  for (const [status, shared] of byStatus([...codes, ...generalCodes(trait)])) {
    const refusal = problemResponse(shared)
    const other = responses[status]
    responses[status] = {
      description: [other?.description, refusal.description].filter(Boolean).join('\n\n'),
      headers: headerRefs([...common, ...shared.flatMap(headersOf)]),
      content: { ...other?.content, ...refusal.content },
    }
  }
  return { ...responses, default: { ...anyProblem, headers: headerRefs(common) } }
}

const phrases: Record<string, string> = {
  200: 'Done',
  201: 'Made',
  204: 'Done; there is nothing to say',
  304: 'Nothing has changed',
}

const headersWith = (status: string, answered: Answered, walked: Walked): ResponseHeader[] => [
  ...(status === '201' ? ['Location' as const] : []),
  ...(status === '304' ? ['ETag' as const] : []),
  ...(answered['x-headers'] ?? []),
  ...(status.startsWith('2') ? (walked['x-headers'] ?? []) : []),
]

const successContent = (answered: Answered, walked: Walked, schemas: Schemas): Media => {
  const [media] = Object.values(answered.content ?? {})
  const { $id } = answered
  const schema = $id === undefined ? media?.schema : { $id }
  return contentOf(plain(schema ?? {}), walked['x-produces'] ?? json, { schemas, walked })
}
