import { afterEach, expect, test } from 'bun:test'
import { claimsOf, signed } from '../support/forge.ts'
import { type Answer, pass, realTime, service, at as setTime } from '../support/service.ts'
import type { Random } from '../support/walk-pages.ts'
import { budget, eachCase } from './budget.ts'
import { leaksIn, wrongsOf } from './oracle.ts'
import { totals } from './totals.ts'

afterEach(realTime)

const windowSeconds = 60
const windowMs = windowSeconds * 1000

/** An independent implementation of the fixed window of the contract. */
const windows = (limit: number) => {
  const open = new Map<string, { count: number; endsAt: number }>()
  const of = (key: string) => {
    const known = open.get(key)
    if (known !== undefined && Date.now() < known.endsAt) return known
    const fresh = { count: 0, endsAt: Date.now() + windowMs }
    open.set(key, fresh)
    return fresh
  }
  return {
    /** The rest after one more request. Below zero, the request is over the limit. */
    take: (key: string) => limit - ++of(key).count,
    decrement: (key: string) => void of(key).count--,
    forget: (key: string) => void open.delete(key),
  }
}

const group = (number: number, random: Random) => {
  const plain = number.toString(16)
  const text = random.chance(30) ? plain.padStart(4, '0') : plain
  return random.chance(30) ? text.toUpperCase() : text
}

/** An address in a notation that a socket or an attacker may use. `key`: the client that it stands for. */
const spelled = (key: string, random: Random): string => {
  if (key.includes('.'))
    return random.of([key, `::ffff:${key}`, `::FFFF:${key}`, `0:0:0:0:0:ffff:${key}`])
  const network = key.split(':').map((text) => Number.parseInt(text, 16))
  const host = Array.from({ length: 4 }, () => random.below(65_536))
  const groups = [...network, ...host].map((number) => group(number, random))
  return random.chance(80)
    ? groups.join(':')
    : `${groups.slice(0, 4).join(':')}::${group(random.below(99), random)}`
}

const forwarding = [
  'x-forwarded-for',
  'x-real-ip',
  'fly-client-ip',
  'forwarded',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'via',
  'x-forwarded-host',
  'x-original-forwarded-for',
  'client-ip',
]

const spoofed = (random: Random): Record<string, string> => {
  const address = random.of([
    `198.51.100.${random.below(256)}`,
    `2001:db8::${random.below(9999)}`,
    'for="[2001:db8::1]:4711";proto=https',
    `10.0.0.1, 198.51.100.${random.below(256)}`,
    'unknown',
    '127.0.0.1',
    '',
  ])
  return Object.fromEntries(
    forwarding.filter(() => random.chance(20)).map((name) => [name, address]),
  )
}

/** The requests, and whether their responses count for the user, for the address, or not at all. */
const kinds: [method: string, path: string, body: unknown, counted: boolean][] = [
  ['GET', '/api/tasks', undefined, true],
  ['GET', '/api/auth/me', undefined, true],
  ['POST', '/api/tasks', { title: 'x' }, true],
  ['POST', '/api/tasks', { title: '' }, true],
  ['POST', '/api/tasks', '{', true],
  ['POST', '/api/tasks', 'x'.repeat(70_000), true],
  ['GET', '/api/tasks/x', undefined, true],
  ['GET', '/api/tasks?limit=0', undefined, true],
  ['GET', '/api/tasks?cursor=x', undefined, true],
  ['GET', '/api/nothing', undefined, true],
  ['PUT', '/api/tasks', undefined, true],
  ['OPTIONS', '/api/tasks', undefined, true],
  ['HEAD', '/api/tasks', undefined, true],
  ['DELETE', '/api/tasks/x', undefined, true],
  ['GET', '/health', undefined, false],
  ['GET', '/problems', undefined, false],
]

const openToAll = /nothing|health|problems/

test('each response is counted once, for the right user or address, as in a model of the contract', async () => {
  const limit = 20
  const settings = { RATE_LIMIT: String(limit), RATE_WINDOW_SECONDS: String(windowSeconds) }
  const here = await service(settings)
  const elsewhere = await service({ RATE_LIMIT: '100000' })
  const count = totals('limits', 'limits: any requests, tokens, addresses, times')
  const model = windows(limit)
  setTime(Date.now())
  const people = await Promise.all([1, 2, 3].map(() => elsewhere.someone()))
  const dead = await elsewhere.someone()
  await dead.call('POST', '/api/auth/logout')
  const tokens = [
    ...people.flatMap((ada) => {
      const { jti: _, ...claims } = claimsOf(ada.token)
      const again = signed({ claims: { ...claims, jti: Bun.randomUUIDv7() } })
      return [ada.token, again].map((token) => ({ token, user: ada.id, isDead: false }))
    }),
    { token: dead.token, user: dead.id, isDead: true },
    { token: `${people[0]?.token}x`, user: undefined, isDead: false },
    { token: undefined, user: undefined, isDead: false },
  ]
  const addresses = ['192.0.2.1', '203.0.113.77', '2001:db8:1:2', '2001:db8:1:3']

  await eachCase('counts', budget(3000, 30_000), 1, async (random, at) => {
    if (random.chance(1)) pass(random.of([1, windowMs - 1, windowMs, windowMs / 2]))
    else pass(random.below(40))
    const { token, user, isDead } = random.of(tokens)
    const [method, path, body, isCounted] = random.of(kinds)
    const address = random.of(addresses)
    here.peer.address = spelled(address, random)
    const headers = spoofed(random)
    if (typeof body === 'string') headers['content-type'] = 'application/json'
    // With `Content-Length`: the body is refused without being read.
    if (typeof body === 'string' && body.length > 65_536) headers['content-length'] = '70000'

    const answer = await here.call(method, path, { token, body, headers })

    count.tried(answer.status === 429)
    const what = `${method} ${path} of ${user ?? 'no user'}${isDead ? ' (dead)' : ''} at ${here.peer.address}`
    count.allWrong(wrongsOf(answer), what, at)
    count.allWrong(leaksIn(here.log, token === undefined ? [] : [token]), what, at)
    const wanted = isCounted ? expectedOf(model, user, address, isDead) : undefined
    const got = answer.headers.get('ratelimit-remaining')
    if (wanted === undefined ? got !== null : got !== String(Math.max(0, wanted)))
      count.wrong(`${got} left, not ${wanted}: ${answer.status}: ${what}`, at)
    if ((wanted !== undefined && wanted < 0) !== (answer.status === 429))
      count.wrong(`${answer.status} where ${wanted} are left: ${what}`, at)
    if (user === undefined && answer.status < 400 && !openToAll.test(path) && method !== 'OPTIONS')
      count.wrong(`accepted without a valid token: ${what}`, at)
  })

  count.matches()
})

const expectedOf = (
  model: ReturnType<typeof windows>,
  user: string | undefined,
  address: string,
  isDead: boolean,
): number => {
  if (user === undefined) return model.take(`address:${address}`)
  const left = model.take(`user:${user}`)
  // Over the limit, the session is not checked.
  if (!isDead || left < 0) return left
  model.decrement(`user:${user}`)
  return model.take(`address:${address}`)
}

test('password guesses are limited as in a model of the contract', async () => {
  const [attempts, perAccount, perAddress] = [4, 12, 9]
  const { call, peer, log } = await service({
    LOGIN_ATTEMPTS: String(attempts),
    LOGIN_ATTEMPTS_PER_ACCOUNT: String(perAccount),
    LOGIN_ATTEMPTS_PER_ADDRESS: String(perAddress),
    LOGIN_WINDOW_SECONDS: String(windowSeconds),
    RATE_LIMIT: '1000000',
    JWT_TTL_SECONDS: '2592000',
  })
  const { someone } = await service()
  const count = totals('limits', 'limits: password guesses, any accounts and addresses')
  const [address, anywhere, here] = [perAddress, perAccount, attempts].map(windows)
  if (!address || !anywhere || !here) throw new Error('three windows')
  setTime(Date.now())
  const people = await Promise.all([1, 2, 3].map(() => someone()))
  const emails = [...people.map(({ email }) => email), 'nobody@example.test', 'no e-mail at all']
  const addresses = Array.from({ length: 8 }, (_, at) => `2001:db8:9:${at + 1}`)
  const faces = new Set<string>()
  let signedIn = 0

  await eachCase('guesses', budget(1500, 15_000), 1, async (random, at) => {
    pass(random.chance(2) ? random.of([windowMs, windowMs / 2]) : random.below(700))
    const email = random.of(emails)
    const from = random.of(addresses)
    const known = people.find((ada) => ada.email === email)
    const isRight = random.chance(25)
    const isForm = random.chance(20)
    peer.address = spelled(from, random)
    const written = random.of([email, email.toUpperCase(), ` ${email}`])
    const password = isRight ? 'correct horse battery' : 'wrong'
    const form = new URLSearchParams({ grant_type: 'password', username: written, password })
    const headers = { ...spoofed(random), 'content-type': 'application/x-www-form-urlencoded' }

    const answer = isForm
      ? await call('POST', '/api/oauth/token', { body: `${form}`, headers })
      : await call('POST', '/api/auth/login', {
          body: { email: written, password },
          headers: spoofed(random),
        })

    count.tried(answer.status >= 400)
    const what = `${isForm ? 'form' : 'login'} ${email} ${password} from ${from}`
    count.allWrong(wrongsOf(answer, { canaries: ['correct horse'], isForm }), what, at)
    count.allWrong(leaksIn(log, ['correct horse', email]), what, at)
    const isIn =
      address.take(from) >= 0 && here.take(`${email} ${from}`) >= 0 && anywhere.take(email) >= 0
    const isKnown = isIn && isRight && known !== undefined
    if (isKnown) {
      here.forget(`${email} ${from}`)
      anywhere.decrement(email)
      signedIn++
    }
    const wanted = isKnown ? 200 : !isIn ? 429 : isForm ? 400 : 401
    if (answer.status !== wanted) count.wrong(`${answer.status}, not ${wanted}: ${what}`, at)
    if (wanted === 401) faces.add(faceOf(answer))
  })

  count.matches()
  // A wrong password, an unknown e-mail and an invalid one get the same response.
  expect(faces.size).toBe(1)
  expect(signedIn).toBeGreaterThan(20)
})

const faceOf = ({ status, headers, text }: Answer) =>
  JSON.stringify([
    status,
    headers.get('www-authenticate'),
    text.replace(headers.get('x-request-id') ?? '', ''),
  ])

test('a client over its limit stays over it, also after a flood of other clients', async () => {
  const here = await service({ RATE_LIMIT: '3' })
  const count = totals('limits', 'limits: a flood of addresses while a client is over its limit')
  setTime(Date.now())
  const ask = async (peer: string) => {
    here.peer.address = peer
    return here.call('GET', '/api/nothing')
  }
  for (let round = 0; round < 5; round++) await ask('192.0.2.200')

  await eachCase('flood', budget(3000, 130_000), 1, async (random, at) => {
    const peer = `2001:db8:${random.below(65_536).toString(16)}:${random.below(65_536).toString(16)}::1`
    const answer = await ask(peer)
    count.tried(answer.status === 429)
    count.allWrong(wrongsOf(answer), peer, at)
    here.log.length = 0
    if (at % 500 === 0 && (await ask('192.0.2.200')).status !== 429)
      count.wrong('is let in again', at)
  })

  expect((await ask('192.0.2.200')).status).toBe(429)
  count.matches()
})
