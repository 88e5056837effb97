/** An error response (RFC 9457). Branch on `code`; `/problems/{code}` of the service explains it. */
export type Problem = {
  status: number
  code: string
  title: string
  request_id?: string
  errors?: { pointer: string; detail: string }[]
}
export type Answer<Body> = { ok: true; body: Body } | { ok: false; problem: Problem }

/** There was no complete response. It is not known whether the request had an effect. */
export class Offline extends Error {}
/** The service asks the client to wait. */
export class RetryLater extends Error {
  readonly seconds: number
  constructor(seconds: number, { title }: Problem) {
    super(`${title}: try again in ${seconds} s`)
    this.seconds = seconds
  }
}
/** Neither the token nor the password is valid any more. */
export class SignedOut extends Error {}

type Needs = {
  url: string
  email: string
  password: string
  /** The caller keeps it over restarts, because sign-in is slow and rate-limited. */
  session: { token?: string }
  sleep?: (seconds: number) => Promise<void>
}
type RequestOptions = { body?: unknown; headers?: Record<string, string> }

const attemptsMax = 4
/** A longer `Retry-After` is not waited for: `RetryLater` is thrown. */
const waitSecondsMax = 10
const timeoutMs = 30_000

/**
 * Sends requests with retries: it signs in when the token has expired, and waits for `Retry-After`. A retry has the same
 * Idempotency-Key, so it has no second effect.
 */
export const createApi = ({ url, email, password, session, sleep = pause }: Needs) => {
  const once = async (method: string, path: string, { body, headers }: RequestOptions) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const sent = {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(session.token !== undefined && { authorization: `Bearer ${session.token}` }),
      ...headers,
    }
    const json = body === undefined ? null : JSON.stringify(body)
    try {
      const response = await fetch(url + path, { method, headers: sent, body: json, signal })
      const { status, ok } = response
      return { status, ok, headers: response.headers, text: await response.text() }
    } catch (cause) {
      throw new Offline(`${url} does not answer`, { cause })
    }
  }

  const sendWithRetries = async (method: string, path: string, options: RequestOptions) => {
    for (let attempt = 1; ; attempt++) {
      const answer = await once(method, path, options)
      if (answer.ok) return { ok: true, body: parsed(answer.text) } as const
      const problem = problemOf(answer)
      if (!isTemporary(problem)) return { ok: false, problem } as const
      const seconds = Number(answer.headers.get('retry-after') ?? 2 ** attempt)
      if (seconds > waitSecondsMax || attempt === attemptsMax)
        throw new RetryLater(seconds, problem)
      await sleep(seconds)
    }
  }

  const signIn = async () => {
    delete session.token
    const answer = await sendWithRetries('POST', '/api/auth/login', { body: { email, password } })
    if (!answer.ok) throw new SignedOut(answer.problem.title)
    session.token = (answer.body as { access_token: string }).access_token
  }

  return {
    send: async <Body>(
      method: string,
      path: string,
      options: RequestOptions = {},
    ): Promise<Answer<Body>> => {
      if (session.token === undefined) await signIn()
      let answer = await sendWithRetries(method, path, options)
      if (!answer.ok && answer.problem.status === 401) {
        await signIn()
        answer = await sendWithRetries(method, path, options)
      }
      if (!answer.ok && answer.problem.status === 401) throw new SignedOut(answer.problem.title)
      return answer as Answer<Body>
    },
  }
}

export type Api = ReturnType<typeof createApi>

/** Whether the same request can succeed later. */
const isTemporary = ({ status, code }: Problem) =>
  status === 429 || status >= 500 || code === 'idempotency-in-flight'

/** A proxy in front of the service can respond too, without JSON. */
const problemOf = ({ status, text }: { status: number; text: string }): Problem => ({
  status,
  code: 'unknown',
  title: `Status ${status}`,
  ...(parsed(text) as Partial<Problem> | undefined),
})

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const pause = (seconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000))
