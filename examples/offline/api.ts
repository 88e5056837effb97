/** A refusal (RFC 9457). Branch on `code`; the service's `/problems/{code}` explains it. */
export type Problem = {
  status: number
  code: string
  title: string
  request_id?: string
  errors?: { pointer: string; detail: string }[]
}
export type Answer<Body> = { ok: true; body: Body } | { ok: false; problem: Problem }

/** Nobody answered, or not to the end. Whether the service did what was asked is not known. */
export class Offline extends Error {}
/** The service wants to be left alone for a while. */
export class Later extends Error {
  readonly seconds: number
  constructor(seconds: number, { title }: Problem) {
    super(`${title}: try again in ${seconds} s`)
    this.seconds = seconds
  }
}
/** Neither the token nor the password is good any more. */
export class SignedOut extends Error {}

type Needs = {
  url: string
  email: string
  password: string
  /** Kept over restarts by the caller: signing in is slow, and counted. */
  session: { token?: string }
  sleep?: (seconds: number) => Promise<void>
}
type Ask = { body?: unknown; headers?: Record<string, string> }

const attemptsMax = 4
/** A longer `Retry-After` is not waited for, but told. */
const waitSecondsMax = 10
const patienceMs = 30_000

/**
 * One request, as often as it takes: signs in when the token has expired, and waits when it is
 * told to. What is sent again is the same request with the same Idempotency-Key, so that it is
 * not done twice.
 */
export const apiOf = ({ url, email, password, session, sleep = pause }: Needs) => {
  const once = async (method: string, path: string, { body, headers }: Ask) => {
    const signal = AbortSignal.timeout(patienceMs)
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

  const patient = async (method: string, path: string, ask: Ask) => {
    for (let attempt = 1; ; attempt++) {
      const answer = await once(method, path, ask)
      if (answer.ok) return { ok: true, body: parsed(answer.text) } as const
      const problem = problemOf(answer)
      if (!isPassing(problem)) return { ok: false, problem } as const
      const seconds = Number(answer.headers.get('retry-after') ?? 2 ** attempt)
      if (seconds > waitSecondsMax || attempt === attemptsMax) throw new Later(seconds, problem)
      await sleep(seconds)
    }
  }

  const signIn = async () => {
    delete session.token
    const answer = await patient('POST', '/api/auth/login', { body: { email, password } })
    if (!answer.ok) throw new SignedOut(answer.problem.title)
    session.token = (answer.body as { access_token: string }).access_token
  }

  return {
    send: async <Body>(method: string, path: string, ask: Ask = {}): Promise<Answer<Body>> => {
      if (session.token === undefined) await signIn()
      let answer = await patient(method, path, ask)
      if (!answer.ok && answer.problem.status === 401) {
        await signIn()
        answer = await patient(method, path, ask)
      }
      if (!answer.ok && answer.problem.status === 401) throw new SignedOut(answer.problem.title)
      return answer as Answer<Body>
    },
  }
}

export type Api = ReturnType<typeof apiOf>

/** Whether the same request may do better later. */
const isPassing = ({ status, code }: Problem) =>
  status === 429 || status >= 500 || code === 'idempotency-in-flight'

/** What stands between us and the service may answer as well, and not in JSON. */
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
