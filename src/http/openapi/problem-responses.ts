import type { ProblemCode } from '../problem.ts'
import { problemCatalogue } from '../problem-catalogue.ts'
import type { RequestHeader, ResponseHeader } from './headers.ts'
import { exampleId } from './schemas.ts'

const codes = Object.keys(problemCatalogue) as ProblemCode[]

/** The codes of the catalogue that share a status. */
export const codesOf = (status: number): ProblemCode[] =>
  codes.filter((code) => problemCatalogue[code].status === status)

/** What an operation is like, as far as it decides how it may be refused. */
export type Trait = {
  open: boolean
  /** The one route that any token may ask. */
  readsProfile: boolean
  counted: boolean
  body: boolean
  form: boolean
  query: boolean
  takes: readonly RequestHeader[]
}

const general: [ProblemCode, (trait: Trait) => boolean][] = [
  ['malformed-request', ({ body, query, takes }) => body || query || takes.some(isCondition)],
  ['unauthenticated', ({ open }) => !open],
  ['insufficient-scope', ({ open, readsProfile }) => !open && !readsProfile],
  ['body-too-large', ({ body }) => body],
  ['unsupported-media-type', ({ body }) => body],
  // A form's refusals are those of RFC 6749.
  [
    'invalid-request',
    ({ body, form, query, takes }) => (body && !form) || query || takes.includes('Idempotency-Key'),
  ],
  ['rate-limited', ({ counted }) => counted],
  ['internal', () => true],
  ['unavailable', ({ counted }) => counted],
]

const isCondition = (header: RequestHeader) => header !== 'Idempotency-Key'

/** The refusals that any operation of this kind may meet, said by no route of itself. */
export const generalCodes = (trait: Trait): ProblemCode[] =>
  general.filter(([, applies]) => applies(trait)).map(([code]) => code)

/** The codes under the status that they share, each once. */
export const byStatus = (codes: ProblemCode[]): [string, ProblemCode[]][] => [
  ...Map.groupBy(new Set(codes), (code) => String(problemCatalogue[code].status)),
]

/** The headers that go with a refusal. */
export const headersOf = (code: ProblemCode): ResponseHeader[] => {
  const status: number = problemCatalogue[code].status
  if (status === 401 || code === 'insufficient-scope') return ['WWW-Authenticate']
  if (status === 412) return ['ETag']
  return status === 429 || status === 503 ? ['Retry-After'] : []
}

const problem = { $ref: '#/components/schemas/Problem' }

/** Description and content of a status that stands for these refusals. */
export const problemResponse = (shared: readonly ProblemCode[]) => ({
  description: shared.map(described).join('\n\n'),
  content: {
    'application/problem+json': {
      schema: problem,
      examples: Object.fromEntries(
        shared.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
      ),
    },
  },
})

const described = (code: ProblemCode) =>
  `\`${code}\`: ${problemCatalogue[code].title}. ${problemCatalogue[code].cause}`

/** What no operation lists by itself: a body where none belongs, a client's own mistakes. */
export const anyProblem = {
  description: 'Any other refusal: a problem of the catalogue at `/problems`.',
  content: { 'application/problem+json': { schema: problem } },
}

const places: Partial<Record<ProblemCode, { pointer: string; detail: string }>> = {
  'invalid-request': { pointer: '/title', detail: 'must have at most 500 characters' },
  'weak-password': { pointer: '/password', detail: 'is one of the most used passwords' },
}

/** One example for each code, to be referred to. */
export const problemExamples = () =>
  Object.fromEntries(
    codes.map((code) => [code, { summary: problemCatalogue[code].title, value: sampleOf(code) }]),
  )

/** What a refusal looks like. */
export const sampleOf = (code: ProblemCode) => {
  const { status, title } = problemCatalogue[code]
  const place = places[code]
  return {
    type: `/problems/${code}`,
    title,
    status,
    code,
    request_id: exampleId,
    ...(place !== undefined && { errors: [{ in: 'body', ...place }] }),
  }
}
