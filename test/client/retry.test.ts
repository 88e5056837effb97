import { describe, expect, test } from 'bun:test'
import { createSend, type Fetch, type RetryOptions } from '../../client/src/retry.ts'

type Step = () => Response | Promise<Response>

/** A service that takes these steps, one for each request, and keeps what it received. */
const scripted = (steps: Step[], retry: RetryOptions = {}) => {
  const received: { method: string; key: string | null; text: string }[] = []
  const waits: number[] = []
  const fetch: Fetch = async (request) => {
    const step = steps[received.length]
    const { method, headers } = request
    received.push({ method, key: headers.get('idempotency-key'), text: await request.text() })
    if (step === undefined) throw new Error('one request too many')
    return step()
  }
  const sleep = async (seconds: number) => void waits.push(seconds)
  return { send: createSend({ fetch, retry, sleep }), received, waits }
}

const lost: Step = () => {
  throw new TypeError('fetch failed')
}
const status =
  (code: number, headers: Record<string, string> = {}, body: unknown = {}): Step =>
  () =>
    Response.json(body, { status: code, headers })
const ok = status(200)
const busy = (seconds: string) => status(503, { 'retry-after': seconds })

const url = 'http://service.test/api/tasks'
const read = () => new Request(url)
const write = (headers: Record<string, string> = {}) =>
  new Request(url, { method: 'POST', headers, body: '{"title":"Buy milk"}' })
const keyed = () => write({ 'idempotency-key': 'k' })

describe('a read, and a write with a key', () => {
  test.each([
    ['a lost response', lost],
    ['502 of a proxy', status(502)],
    ['503', status(503)],
    ['504', status(504)],
  ])('are sent again after %s', async (_, failure) => {
    for (const request of [read(), keyed()]) {
      const { send, received } = scripted([failure, failure, ok])

      const response = await send(request)

      expect([response.status, received.length]).toEqual([200, 3])
    }
  })

  test('are the same each time: body, key and method', async () => {
    const { send, received } = scripted([lost, busy('0'), ok])

    await send(keyed())

    expect(received).toEqual(
      Array(3).fill({ method: 'POST', key: 'k', text: '{"title":"Buy milk"}' }),
    )
  })

  test('wait as long as Retry-After says, otherwise longer each time', async () => {
    const { send, waits } = scripted([busy('3'), busy('7'), ok])
    await send(read())
    const own = scripted([lost, lost, lost, ok])
    await own.send(read())

    expect(waits).toEqual([3, 7])
    for (const [at, seconds] of own.waits.entries()) {
      const middle = 0.25 * 2 ** at
      expect(seconds).toBeGreaterThanOrEqual(middle / 2)
      expect(seconds).toBeLessThanOrEqual(middle * 1.5)
    }
  })

  test('understand a Retry-After that is a date', async () => {
    const inTwoSeconds = new Date(Date.now() + 2000).toUTCString()
    const { send, waits } = scripted([busy(inTwoSeconds), ok])

    await send(read())

    expect(waits[0]).toBeGreaterThan(0)
    expect(waits[0]).toBeLessThanOrEqual(2)
  })

  test('do not wait longer than agreed: the response is returned', async () => {
    const { send, received } = scripted([busy('11')])
    const patient = scripted([busy('11'), ok], { waitSecondsMax: 20 })

    expect((await send(read())).status).toBe(503)
    expect((await patient.send(read())).status).toBe(200)
    expect(received).toHaveLength(1)
  })

  test('are given up after the last attempt, with what it brought', async () => {
    const { send, received } = scripted([lost, lost, lost, status(503)])
    const twice = scripted([lost, lost], { attemptsMax: 2 })

    expect((await send(read())).status).toBe(503)
    await expect(twice.send(read())).rejects.toThrow('fetch failed')
    expect(received).toHaveLength(4)
  })

  test('are not repeated after any other response', async () => {
    for (const code of [400, 401, 404, 409, 410, 412, 422, 429, 500]) {
      const { send, received } = scripted([status(code, {}, { code: 'another' })])

      const response = await send(keyed())

      expect([response.status, received.length]).toEqual([code, 1])
      expect(await response.json()).toEqual({ code: 'another' })
    }
  })

  test('with a key, they wait for the first request with this key', async () => {
    const inFlight = status(409, {}, { code: 'idempotency-in-flight' })
    const { send } = scripted([lost, inFlight, inFlight, ok])

    expect((await send(keyed())).status).toBe(200)
  })
})

test('a write without a key is sent once, because it may have had its effect', async () => {
  for (const failure of [lost, status(503)]) {
    const { send, received } = scripted([failure])
    await send(write()).catch(() => undefined)
    expect(received).toHaveLength(1)
  }
})

describe('a signal', () => {
  test('ends a request, a wait and further attempts', async () => {
    let requests = 0
    const hanging: Fetch = (_, init) =>
      new Promise((_resolve, reject) => {
        requests += 1
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))
      })
    const during = new AbortController()
    const waiting = new AbortController()

    const sent = createSend({ fetch: hanging })(new Request(url, { signal: during.signal }))
    during.abort(new Error('enough'))
    const waits = createSend({
      fetch: async () => {
        setTimeout(() => waiting.abort(new Error('no patience')), 5)
        return new Response(null, { status: 503, headers: { 'retry-after': '9' } })
      },
    })(new Request(url, { signal: waiting.signal }))

    await expect(sent).rejects.toThrow('enough')
    await expect(waits).rejects.toThrow('no patience')
    expect(requests).toBe(1)
  })

  test('of a limit ends a request that hangs, which is then repeated', async () => {
    const signals: AbortSignal[] = []
    const fetch: Fetch = (_, init) => {
      if (init?.signal) signals.push(init.signal)
      if (signals.length === 2) return Promise.resolve(new Response('ok'))
      return new Promise((_resolve, reject) =>
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)),
      )
    }

    const response = await createSend({ fetch, timeoutMs: 10, sleep: async () => {} })(read())
    await Bun.sleep(20)

    expect(await response.text()).toBe('ok')
    // A response that has begun may take its time.
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
  })
})
