import type { ProblemCode } from '../problem.ts'
import { problemCatalogue } from '../problem-catalogue.ts'
import type { RequestHeader, ResponseHeader } from './headers.ts'
import { exampleId } from './schemas.ts'

const codes = Object.keys(problemCatalogue) as ProblemCode[]

/** The codes of the catalogue that share a status. */
export const codesOf = (status: number): ProblemCode[] =>
  codes.filter((code) => problemCatalogue[code].status === status)

/** The properties of an operation that decide which problems it can return. */
export type Trait = {
  isPublic: boolean
  /** The one route that accepts every scope. */
  readsProfile: boolean
  counted: boolean
  body: boolean
  form: boolean
  query: boolean
  takes: readonly RequestHeader[]
}

const general: [ProblemCode, (trait: Trait) => boolean][] = [
  ['malformed-request', ({ body, query, takes }) => body || query || takes.some(isCondition)],
  ['unauthenticated', ({ isPublic }) => !isPublic],
  ['insufficient-scope', ({ isPublic, readsProfile }) => !isPublic && !readsProfile],
  ['body-too-large', ({ body }) => body],
  ['unsupported-media-type', ({ body }) => body],
  // A form gets the errors of RFC 6749.
  [
    'invalid-request',
    ({ body, form, query, takes }) => (body && !form) || query || takes.includes('Idempotency-Key'),
  ],
  ['rate-limited', ({ counted }) => counted],
  ['internal', () => true],
  ['unavailable', ({ counted }) => counted],
]

const isCondition = (header: RequestHeader) => header !== 'Idempotency-Key'

/** The problems that every operation with these properties can return. */
export const generalCodes = (trait: Trait): ProblemCode[] =>
  general.filter(([, applies]) => applies(trait)).map(([code]) => code)

/** Groups the codes by status, each once. */
export const byStatus = (codes: ProblemCode[]): [string, ProblemCode[]][] => [
  ...Map.groupBy(new Set(codes), (code) => String(problemCatalogue[code].status)),
]

/** The headers of a problem response. */
export const headersOf = (code: ProblemCode): ResponseHeader[] => {
  const status: number = problemCatalogue[code].status
  if (status === 401 || code === 'insufficient-scope') return ['WWW-Authenticate']
  if (status === 412) return ['ETag']
  return status === 429 || status === 503 ? ['Retry-After'] : []
}

const problem = { $ref: '#/components/schemas/Problem' }

/** Description and content of the response for problems that share a status. */
export const problemResponse = (shared: readonly ProblemCode[]) => ({
  description: shared.map(describe).join('\n\n'),
  content: {
    'application/problem+json': {
      schema: problem,
      examples: Object.fromEntries(
        shared.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
      ),
    },
  },
})

const describe = (code: ProblemCode) =>
  `\`${code}\`: ${problemCatalogue[code].title}. ${problemCatalogue[code].cause}`

/** The default response: problems that an operation does not list, such as an unexpected body. */
export const anyProblem = {
  description: 'Any other problem of the catalogue at `/problems`.',
  content: { 'application/problem+json': { schema: problem } },
}

const exampleErrors: Partial<Record<ProblemCode, { pointer: string; detail: string }>> = {
  'invalid-request': { pointer: '/title', detail: 'must have at most 500 characters' },
  'weak-password': { pointer: '/password', detail: 'is easy to guess' },
}

/** One example for each code, for references. */
export const problemExamples = () =>
  Object.fromEntries(
    codes.map((code) => [
      code,
      { summary: problemCatalogue[code].title, value: exampleProblem(code) },
    ]),
  )

/** An example of a problem. */
export const exampleProblem = (code: ProblemCode) => {
  const { status, title } = problemCatalogue[code]
  const error = exampleErrors[code]
  return {
    type: `/problems/${code}`,
    title,
    status,
    code,
    request_id: exampleId,
    ...(error !== undefined && { errors: [{ in: 'body', ...error }] }),
  }
}
