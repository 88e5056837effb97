import type { ProblemCode } from '../problem.ts'
import { problemCatalogue } from '../problem-catalogue.ts'
import { commonHeaders, headerRefs, type ResponseHeader } from './headers.ts'
import { exampleId } from './schemas.ts'

const codes = Object.keys(problemCatalogue) as ProblemCode[]

/** The problems that most operations can return. */
export const commonCodes = [
  'malformed-request',
  'unauthenticated',
  'insufficient-scope',
  'method-not-allowed',
  'body-too-large',
  'unsupported-media-type',
  'invalid-request',
  'rate-limited',
  'internal',
  'unavailable',
] as const satisfies readonly ProblemCode[]

export const isCommon = (code: ProblemCode): boolean => commonCodes.some((one) => one === code)

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

/** The response for every other status of a problem, by reference. */
export const anyProblem = { $ref: '#/components/responses/Problem' }

/** The component for `anyProblem`, with the headers that every response has. */
export const commonResponse = {
  description: 'A problem. The common ones are described at the top of this document.',
  ...headerRefs([...commonHeaders, 'WWW-Authenticate', 'Retry-After']),
  content: {
    'application/problem+json': {
      schema: problem,
      examples: Object.fromEntries(
        commonCodes.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
      ),
    },
  },
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
