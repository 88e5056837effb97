import { sleep } from './abort.ts'
import type { ChangesQuery, Items } from './listing.ts'
import { ProblemError, ResponseError, toError } from './problem.ts'
import { init, type RequestOptions } from './request.ts'
import type { ChangesPage, Http, Task } from './types.ts'

type ReadPages = (query: ChangesQuery, options: RequestOptions) => Items<ChangesPage>
type Needs = {
  http: Http
  /** The pages of the changes feed; with `wait`, the last one waits for a change. */
  readPages: ReadPages
}

/** The service sends a comment every 15 s. A connection without any is dead. */
const silentMsMax = 40_000
/** Until the first event. A proxy that holds it back for longer gets no streams. */
const readyMsMax = 10_000
const pollSeconds = 25
const [pauseMin, pauseMax] = [1, 30]

/**
 * Returns the function that yields the changes since a token, and then further ones as they happen, over reconnects and
 * restarts of the service, until the signal aborts. It ends with an error if the session has ended, or if the token is
 * too old (`sync-expired`).
 */
export const createWatch = ({ http, readPages }: Needs) =>
  async function* watch(
    query: ChangesQuery = {},
    options: RequestOptions = {},
  ): AsyncGenerator<ChangesPage, void, undefined> {
    const signal = options.signal ?? new AbortController().signal
    let next = query.since
    let isHeldBack = false
    let pause = pauseMin
    while (!signal.aborted) {
      try {
        const since = next === undefined ? {} : { since: next }
        const wait = isHeldBack && next !== undefined ? { wait: pollSeconds } : {}
        for await (const page of readPages({ ...query, ...since, ...wait }, { signal })) {
          next = page.next
          if (page.changes.length > 0) yield page
        }
        pause = pauseMin
        if (isHeldBack || next === undefined) continue
        for await (const page of readStream(http, next, signal)) {
          next = page.next
          if (page.changes.length > 0) yield page
        }
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof HeldBack) isHeldBack = true
        else if (!isTemporary(error)) throw error
        pause = Math.min(pause * 2, pauseMax)
      }
      await sleep(pause * (0.5 + Math.random() / 2), signal).catch(() => {})
    }
  }

/** The first event did not arrive. */
class HeldBack extends Error {}

const isTemporary = (error: unknown): boolean => {
  if (error instanceof ProblemError || error instanceof ResponseError)
    return error.status === 429 || error.status >= 500
  return true
}

/** The events of one connection. */
async function* readStream(http: Http, since: string, signal: AbortSignal): Items<ChangesPage> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(new HeldBack()), readyMsMax)
  try {
    const { response, error } = await http.GET('/api/tasks/events', {
      params: { query: { since } },
      parseAs: 'stream',
      ...init({ signal: AbortSignal.any([signal, silence.signal]) }),
    })
    if (!response.ok || response.body === null) throw toError(response, error)
    let text = ''
    for await (const chunk of chunksOf(response.body)) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(new Error('silent')), silentMsMax)
      const parts = (text + chunk).split('\n\n')
      text = parts.pop() ?? ''
      for (const page of parts.flatMap(pageOf)) yield page
    }
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : error
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}

async function* chunksOf(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield decoder.decode(value, { stream: true })
  }
}

/** An event (HTML Standard, section 9.2.6) as a page of one change; `ready` as one without. */
const pageOf = (event: string): ChangesPage[] => {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(event)?.[1]
  const [id, op, data] = [field('id'), field('event'), field('data')]
  if (id === undefined || data === undefined) return []
  const page = { next: id, has_more: false }
  if (op === 'upsert') return [{ ...page, changes: [{ op, task: JSON.parse(data) as Task }] }]
  if (op === 'delete') return [{ ...page, changes: [{ op, ...JSON.parse(data) }] }]
  return [{ ...page, changes: [] }]
}
