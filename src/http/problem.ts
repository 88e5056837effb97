import { t } from 'elysia'
import { problemCatalogue } from './problem-catalogue.ts'

type ProblemCatalogue = typeof problemCatalogue
export type ProblemCode = keyof ProblemCatalogue

/** One fault of a request. `pointer` is a JSON Pointer (RFC 6901). */
export type FieldError = {
  in: 'body' | 'query' | 'header'
  pointer: string
  detail: string
}
type Extras = { errors?: FieldError[]; headers?: Record<string, string> }

/**
 * Ends a request with a problem of the catalogue. It has no `status` member: elysia-rate-limit would count a
 * 404 twice.
 */
export class ProblemError extends Error {
  readonly problemCode: ProblemCode
  readonly errors: FieldError[] | undefined
  readonly headers: Record<string, string>

  constructor(code: ProblemCode, { errors, headers = {} }: Extras = {}) {
    super(code)
    this.problemCode = code
    this.errors = errors
    this.headers = headers
  }
}

/** Ends the request with a problem. */
export const throwProblem = (code: ProblemCode, extras?: Extras): never => {
  throw new ProblemError(code, extras)
}

/** Refuses a value that a schema alone cannot judge, with 422. */
export const throwInvalidRequest = (
  pointer: string,
  detail: string,
  where: FieldError['in'] = 'body',
): never => throwProblem('invalid-request', { errors: [{ in: where, pointer, detail }] })

/** Refuses a header, parameter or body that cannot be parsed, with 400. */
export const throwMalformedRequest = (
  where: FieldError['in'],
  pointer: string,
  detail: string,
): never => throwProblem('malformed-request', { errors: [{ in: where, pointer, detail }] })

/** The JSON Pointer of a top-level member. A long name is truncated. */
export const toJsonPointer = (name: string): string =>
  `/${name.slice(0, 200).replaceAll('~', '~0').replaceAll('/', '~1')}`

/** The body of every error response (RFC 9457). */
export const Problem = t.Object(
  {
    type: t.String({ examples: ['/problems/invalid-request'] }),
    title: t.String(),
    status: t.Integer(),
    code: t.String({ enum: Object.keys(problemCatalogue) }),
    request_id: t.String(),
    errors: t.Optional(
      t.Array(
        t.Object(
          { in: t.String(), pointer: t.String(), detail: t.String() },
          { additionalProperties: false },
        ),
      ),
    ),
  },
  {
    additionalProperties: false,
    $id: 'Problem',
    description: 'Why the request was refused (RFC 9457)',
  },
)

/**
 * The `response` entries of a route for these problems. `x-codes` lists the codes of each status for the OpenAPI
 * document.
 */
export const problemResponses = <const Code extends ProblemCode>(...codes: Code[]) => {
  const byStatus = Map.groupBy(codes, (code) => problemCatalogue[code].status)
  const problemOf = (shared: Code[]): typeof Problem => ({ ...Problem, 'x-codes': shared })
  return Object.fromEntries(
    [...byStatus].map(([status, shared]) => [status, problemOf(shared)]),
  ) as { [C in Code as ProblemCatalogue[C]['status']]: typeof Problem }
}
