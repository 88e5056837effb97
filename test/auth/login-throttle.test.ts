import { afterEach, describe, expect, test } from 'bun:test'
import { availableParallelism } from 'node:os'
import { holdPasswordHashing } from '../support/hashing.ts'
import {
  type Answer,
  comparable,
  pass,
  realTime,
  type Service,
  service,
} from '../support/service.ts'

afterEach(realTime)

/** The default limit. The test service raises it, because other tests sign up many users from one address. */
const budgets = { LOGIN_ATTEMPTS_PER_ADDRESS: '50' }
const password = 'correct horse battery'
const codeOf = ({ status, body }: Answer) => `${status} ${body?.code ?? ''}`.trim()
const refused = '429 too-many-attempts'

let last = 0
/** An address that no other test uses. */
const address = () => `198.51.${Math.floor(++last / 250)}.${last % 250}`

const signIn = (here: Service, email: string, text: string) =>
  here.call('POST', '/api/auth/login', { body: { email, password: text } })

const fails = async (here: Service, email: string, times: number) => {
  for (let time = 0; time < times; time++)
    expect(codeOf(await signIn(here, email, 'wrong'))).toBe('401 invalid-credentials')
}

describe('from one address, for an account', () => {
  test('10 failures are allowed; then even the right password is 429 with Retry-After', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()

    await fails(here, email, 10)
    for (const text of ['wrong', password]) {
      const answer = await signIn(here, email, text)
      expect(codeOf(answer)).toBe(refused)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(Number(answer.headers.get('retry-after'))).toBeWithin(800, 901)
    }
  })

  test('an unknown e-mail has the same limit and responses', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()
    const unknown = `${Bun.randomUUIDv7()}@example.test`
    const run = async (account: string) => {
      const answers = []
      for (let time = 0; time < 12; time++)
        answers.push(comparable(await signIn(here, account, 'wrong')))
      return answers.map(({ status, text }) => [status, text])
    }

    expect(await run(unknown)).toEqual(await run(email))
  })

  test('all spellings of an e-mail count as one account', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()

    await fails(here, email.toUpperCase(), 5)
    await fails(here, ` ${email}\t`, 5)
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
  })

  test('the owner can sign in from another address', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()
    await fails(here, email, 10)
    expect(codeOf(await signIn(here, email, 'wrong'))).toBe(refused)

    here.peer.address = address()
    expect(codeOf(await signIn(here, email, password))).toBe('200')
  })

  test('other accounts are not refused', async () => {
    const here = await service(budgets)
    const [ada, bob] = [await here.someone(), await here.someone()]
    await fails(here, ada.email, 10)

    expect(codeOf(await signIn(here, ada.email, password))).toBe(refused)
    expect(codeOf(await signIn(here, bob.email, password))).toBe('200')
  })

  test('the window ends after exactly 15 minutes; refused attempts do not extend it', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()
    pass(0)
    await fails(here, email, 10)

    pass(899_999)
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
    pass(1)
    expect(codeOf(await signIn(here, email, password))).toBe('200')
  })

  test('a success resets the count', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()

    await fails(here, email, 9)
    expect(codeOf(await signIn(here, email, password))).toBe('200')
    await fails(here, email, 10)
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
  })

  test('40 concurrent attempts do not exceed the limit', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()

    const answers = await Promise.all(
      Array.from({ length: 40 }, () => signIn(here, email, 'wrong')),
    )

    const codes = answers.map(codeOf)
    expect(codes.filter((code) => code === '401 invalid-credentials')).toHaveLength(10)
    expect(codes.filter((code) => code === refused)).toHaveLength(30)
  })

  test('the OAuth 2 token endpoint has the same limit, and a problem when it is reached', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()
    const grant = (text: string) =>
      here.call('POST', '/api/oauth/token', {
        body: new URLSearchParams({
          grant_type: 'password',
          username: email,
          password: text,
        }).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })

    for (let time = 0; time < 10; time++)
      expect((await grant('wrong')).body.error).toBe('invalid_grant')
    const answer = await grant(password)
    expect(codeOf(answer)).toBe(refused)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
  })

  test('a wrong current_password is counted on each route that requires one', async () => {
    const here = await service(budgets)
    const ada = await here.someone()
    const requests: [string, string, object][] = [
      ['PATCH', '/api/auth/me', { email: 'new@example.test' }],
      ['PUT', '/api/auth/me/password', { new_password: 'wrong donkey power plant' }],
      ['DELETE', '/api/auth/me', {}],
    ]
    const send = ([method, path, body]: [string, string, object], text: string) =>
      ada.call(method, path, { ...body, current_password: text })

    for (let time = 0; time < 9; time++)
      for (const one of requests.slice(time % 3, (time % 3) + 1))
        expect(codeOf(await send(one, 'wrong'))).toBe('403 wrong-password')
    expect(codeOf(await signIn(here, ada.email, 'wrong'))).toBe('401 invalid-credentials')
    for (const one of requests) expect(codeOf(await send(one, password))).toBe(refused)
    expect(codeOf(await signIn(here, ada.email, password))).toBe(refused)
  })

  test('a right current_password is not counted', async () => {
    const here = await service({ ...budgets, LOGIN_ATTEMPTS: '2' })
    const ada = await here.someone()

    for (const name of ['a', 'b', 'c', 'd']) {
      const body = { email: ada.email, name, current_password: password }
      expect(codeOf(await ada.call('PATCH', '/api/auth/me', body))).toBe('200')
    }
    expect(codeOf(await signIn(here, ada.email, password))).toBe('200')
  })

  test('an invalid request is not counted', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()

    for (let time = 0; time < 60; time++)
      await here.call('POST', '/api/auth/login', { body: { email, password: '' } })
    expect(codeOf(await signIn(here, email, password))).toBe('200')
  })
})

describe('from all addresses, for an account', () => {
  test('100 failures are allowed; the 101st is refused from every address for 15 minutes', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()
    for (let round = 0; round < 10; round++) {
      here.peer.address = address()
      await fails(here, email, 10)
    }

    here.peer.address = address()
    const answer = await signIn(here, email, password)
    expect(codeOf(answer)).toBe(refused)
    expect(Number(answer.headers.get('retry-after'))).toBeWithin(800, 901)
    pass(901_000)
    expect(codeOf(await signIn(here, email, password))).toBe('200')
  })

  test('an address over its own limit is not counted', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()
    await fails(here, email, 10)
    for (let time = 0; time < 38; time++)
      expect(codeOf(await signIn(here, email, 'x'))).toBe(refused)

    for (let round = 0; round < 9; round++) {
      here.peer.address = address()
      await fails(here, email, 10)
    }
    here.peer.address = address()
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
  })

  test('a success returns its own attempt, and no failure', async () => {
    const here = await service({ ...budgets, LOGIN_ATTEMPTS_PER_ACCOUNT: '5' })
    const { email } = await here.someone()
    for (let time = 0; time < 10; time++) {
      here.peer.address = address()
      expect(codeOf(await signIn(here, email, password))).toBe('200')
    }

    for (let time = 0; time < 5; time++) {
      here.peer.address = address()
      await fails(here, email, 1)
      if (time < 4) expect(codeOf(await signIn(here, email, password))).toBe('200')
    }
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
  })
})

describe('from one address', () => {
  test('50 attempts are allowed, including sign-ups and successes, for all accounts together', async () => {
    const here = await service(budgets)
    const { email } = await here.someone()
    const register = () =>
      here.call('POST', '/api/auth/register', {
        body: { email: `${Bun.randomUUIDv7()}@example.test`, password },
      })

    for (let time = 0; time < 23; time++) expect(codeOf(await register())).toBe('201')
    for (let time = 0; time < 13; time++)
      expect(codeOf(await signIn(here, email, password))).toBe('200')
    for (let time = 0; time < 13; time++)
      expect((await signIn(here, `${Bun.randomUUIDv7()}@example.test`, 'x')).status).toBe(401)

    expect(codeOf(await signIn(here, email, password))).toBe(refused)
    expect(codeOf(await register())).toBe(refused)
    here.peer.address = address()
    expect(codeOf(await signIn(here, email, password))).toBe('200')
  })

  test('a sign-up with a taken e-mail counts, because it reveals that the account exists', async () => {
    const here = await service({ LOGIN_ATTEMPTS_PER_ADDRESS: '5' })
    const { email } = await here.someone()
    const register = () => here.call('POST', '/api/auth/register', { body: { email, password } })

    for (let time = 0; time < 4; time++) expect(codeOf(await register())).toBe('409 email-taken')
    expect(codeOf(await register())).toBe(refused)
  })

  test('all addresses of an IPv6 /64 count together, in any spelling', async () => {
    const here = await service({ LOGIN_ATTEMPTS_PER_ADDRESS: '4' })
    const { email } = await here.someone()
    const from = (peer: string) => {
      here.peer.address = peer
      return signIn(here, email, password)
    }

    for (const peer of [
      '2001:db8:0:1::1',
      '2001:DB8::1:0:0:0:1',
      '2001:db8:0:1:ffff::',
      '2001:db8:0:1::2%eth0',
    ])
      expect(codeOf(await from(peer))).toBe('200')
    expect(codeOf(await from('2001:db8:0:1:abcd:1:2:3'))).toBe(refused)
    expect(codeOf(await from('2001:db8:0:2::1'))).toBe('200')
  })

  test('a mapped IPv4 address is the IPv4 address', async () => {
    const here = await service({ LOGIN_ATTEMPTS_PER_ADDRESS: '2' })
    const { email } = await here.someone()
    const from = (peer: string) => {
      here.peer.address = peer
      return signIn(here, email, password)
    }

    expect(codeOf(await from('192.0.2.77'))).toBe('200')
    expect(codeOf(await from('::ffff:192.0.2.77'))).toBe('200')
    expect(codeOf(await from('::ffff:c000:24d'))).toBe(refused)
    expect(codeOf(await from('::ffff:192.0.2.78'))).toBe('200')
  })

  test.each([
    'x-forwarded-for',
    'x-real-ip',
    'fly-client-ip',
    'forwarded',
    'cf-connecting-ip',
    'true-client-ip',
  ])('%s of an untrusted client has no effect', async (name) => {
    const here = await service({ LOGIN_ATTEMPTS_PER_ADDRESS: '3' })
    const { email } = await here.someone()
    const spoofed = () =>
      here.call('POST', '/api/auth/login', {
        body: { email, password },
        headers: { [name]: address() },
      })

    expect([codeOf(await spoofed()), codeOf(await spoofed())]).toEqual(['200', '200'])
    expect(codeOf(await spoofed())).toBe(refused)
  })
})

describe('a reserved attempt', () => {
  test('is not returned if hashing was refused', async () => {
    using hashing = holdPasswordHashing()
    // All cores but one hash at a time, and one more attempt waits.
    const attempts = Math.max(1, availableParallelism() - 1) + 1 + 8
    const settings = { BCRYPT_QUEUE_MAX: '1', LOGIN_ATTEMPTS: String(attempts) }
    const here = await service({ ...settings, LOGIN_ATTEMPTS_PER_ACCOUNT: '100000' })
    const { email } = await here.someone()

    let refusedCount = 0
    const answers = Array.from({ length: attempts }, async () => {
      const { status } = await signIn(here, email, 'wrong')
      if (status === 503 && ++refusedCount === 8) hashing.release()
      return status
    })

    const statuses = (await Promise.all(answers)).sort()
    expect(statuses).toEqual([...Array(attempts - 8).fill(401), ...Array(8).fill(503)])
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
  })

  test('is not returned if the database failed', async () => {
    const broken = await service(budgets, {
      db: () => {
        throw new Error('gone')
      },
    })
    const email = `${Bun.randomUUIDv7()}@example.test`

    for (let time = 0; time < 10; time++)
      expect((await signIn(broken, email, 'x')).status).toBe(500)
    expect(codeOf(await signIn(broken, email, 'x'))).toBe(refused)
  })
})

test('no account is locked forever: each window allows ten more attempts', async () => {
  const here = await service(budgets)
  const { email } = await here.someone()

  for (let window = 0; window < 3; window++) {
    await fails(here, email, 10)
    expect(codeOf(await signIn(here, email, password))).toBe(refused)
    pass(901_000)
  }
  expect(codeOf(await signIn(here, email, password))).toBe('200')
})
