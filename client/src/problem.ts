import type { components } from './openapi.ts'

/** Why the service refused a request (RFC 9457). */
export type Problem = components['schemas']['Problem']
/** The closed catalogue of `GET /problems`. A newer service may know more codes. */
export type ProblemCode = Problem['code']
/** What is wrong with one place of the request. `pointer` is a JSON Pointer (RFC 6901). */
export type ProblemDetail = NonNullable<Problem['errors']>[number]

/** A response that is neither a success nor a problem of the service, such as the 502 of a proxy. */
export class ResponseError extends Error {
  override readonly name: string = 'ResponseError'
  readonly status: number
  readonly #response: Response

  constructor(response: Response, message = `The response has status ${response.status}`) {
    super(message)
    this.status = response.status
    this.#response = response
  }

  /** Its body has been read. A getter, so that printed errors stay short. */
  get response(): Response {
    return this.#response
  }
}

/** A problem of the service. Branch on `code`; the service explains it at `/problems/{code}`. */
export class ProblemError extends ResponseError {
  override readonly name = 'ProblemError'
  readonly code: ProblemCode
  readonly #problem: Problem
  /** What is wrong with the request, place by place; empty if the code says all. */
  readonly errors: readonly ProblemDetail[]
  /** Names this request in the log of the service. */
  readonly requestId: string

  constructor(response: Response, problem: Problem) {
    const { status, title, code, request_id, errors = [] } = problem
    const places = errors.map(({ pointer, detail }) => `\n  ${pointer} ${detail}`)
    super(response, `${status} ${title} (${code}, request ${request_id})${places.join('')}`)
    this.code = code
    this.#problem = problem
    this.errors = errors
    this.requestId = request_id
  }

  get problem(): Problem {
    return this.#problem
  }

  /** After `version-mismatch`: the current `ETag` of the task. */
  get etag(): string | undefined {
    return this.response.headers.get('etag') ?? undefined
  }

  /** After `version-mismatch`: the current version of the task. */
  get currentVersion(): number | undefined {
    return versionOf(this.response)
  }

  /** After `rate-limited`, `too-many-attempts` and `unavailable`: how long to wait. */
  get retryAfterSeconds(): number | undefined {
    return retryAfterSecondsOf(this.response)
  }
}

/** Whether it is a problem of the service; if codes are given, one of these. */
export const isProblem = <Code extends ProblemCode = ProblemCode>(
  error: unknown,
  ...codes: Code[]
): error is ProblemError & { readonly code: Code } =>
  error instanceof ProblemError && (codes.length === 0 || codes.some((code) => code === error.code))

/** The error that a response stands for. `body` is what was parsed of it. */
export const toError = (response: Response, body: unknown): ResponseError =>
  isProblemBody(body) ? new ProblemError(response, body) : new ResponseError(response)

/** The version in a strong `ETag`. */
export const versionOf = ({ headers }: Response): number | undefined => {
  const [, digits] = /^"(\d+)"$/.exec(headers.get('etag') ?? '') ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** `Retry-After` is a number of seconds or a date (RFC 9110). */
export const retryAfterSecondsOf = ({ headers }: Response): number | undefined => {
  const text = headers.get('retry-after')
  if (text === null) return undefined
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds)
}

const isProblemBody = (body: unknown): body is Problem =>
  typeof body === 'object' && body !== null && 'code' in body && 'request_id' in body
