import { afterEach, describe, expect, test } from 'bun:test'
import { availableParallelism } from 'node:os'
import { eq } from 'drizzle-orm'
import { createAccountRepository } from '../../src/auth/accounts/repository.ts'
import { users } from '../../src/db/schema.ts'
import { createNoticeStatements } from '../../src/mail/notices.ts'
import { claimsOf } from '../support/forge.ts'
import { holdPasswordHashing } from '../support/hashing.ts'
import {
  type Answer,
  comparable,
  database,
  pass,
  realTime,
  rowsOf,
  service,
} from '../support/service.ts'

afterEach(realTime)

const fresh = () => `${Bun.randomUUIDv7()}@example.test`
const password = 'correct horse battery'
const tokenMembers = [
  'access_token',
  'token_type',
  'expires_in',
  'refresh_token',
  'refresh_expires_in',
]
const codeOf = ({ status, body }: Answer) => `${status} ${body?.code ?? body?.error ?? ''}`.trim()

describe('sign-up', () => {
  test('is 201 with a token, the user and a Location', async () => {
    const { call } = await service()
    const email = fresh()
    pass(0)

    const { status, headers, body } = await call('POST', '/api/auth/register', {
      body: { email, password, name: 'Ada' },
    })

    expect([status, headers.get('location')]).toEqual([201, '/api/auth/me'])
    expect(Object.keys(body)).toEqual([...tokenMembers, 'user'])
    expect(body).toMatchObject({ token_type: 'Bearer', user: { email, name: 'Ada' } })
    expect(body.expires_in).toBe(86_400)
    expect(Object.keys(body.user)).toEqual([
      'id',
      'email',
      'name',
      'created_at',
      'email_verified',
      'pending_email',
      'time_zone',
      'reminders_by_mail',
    ])
    expect(body.user.id).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(body.user.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    const me = await call('GET', '/api/auth/me', { token: body.access_token })
    expect(me.body).toEqual(body.user)
  })

  test('normalizes an e-mail (trim, NFC, lower case), and finds it in any spelling', async () => {
    const { call } = await service()
    const local = `José.\u01f0.${Bun.randomUUIDv7()}`
    const spellings = [
      ` ${local.normalize('NFD').toUpperCase()}@EXAMPLE.test\n`,
      `${local}@example.test`,
    ]

    const { body } = await call('POST', '/api/auth/register', {
      body: { email: spellings[0], password },
    })
    expect(body.user.email).toBe(`${local.toLowerCase()}@example.test`)
    for (const email of spellings) {
      expect(codeOf(await call('POST', '/api/auth/login', { body: { email, password } }))).toBe(
        '200',
      )
      expect(codeOf(await call('POST', '/api/auth/register', { body: { email, password } }))).toBe(
        '409 email-taken',
      )
    }
  })

  test.each([
    'x',
    '@',
    'a@',
    '@b',
    'a@b@c',
    'a b@c',
    'a@b c',
    '',
    ' ',
    'a\0@b',
    '\ud800@b',
    '.a@b.test',
    'a.@b.test',
    `${'a'.repeat(253)}@b`,
    1,
    null,
    { a: 1 },
  ])('refuses %j as an e-mail', async (email) => {
    const { call } = await service()

    const answer = await call('POST', '/api/auth/register', { body: { email, password } })

    expect(codeOf(answer)).toBe('422 invalid-request')
    expect(answer.body.errors[0]).toMatchObject({ in: 'body', pointer: '/email' })
  })

  test('reports all invalid members at once, a weak password too', async () => {
    const { call } = await service()
    const pointersOf = async (body: unknown) => {
      const answer = await call('POST', '/api/auth/register', { body })
      const errors: { pointer: string }[] = answer.body.errors
      return [codeOf(answer), errors.map(({ pointer }) => pointer).sort()]
    }

    expect(await pointersOf({ email: 'x', password: 'short', name: '', id: 1 })).toEqual([
      '422 invalid-request',
      ['/email', '/id', '/name', '/password'],
    ])
    expect(await pointersOf({ email: 'x', password: 1 })).toEqual([
      '422 invalid-request',
      ['/email', '/password'],
    ])
    // Not convertible to a string.
    expect(await pointersOf({ email: { toString: 1 }, password })).toEqual([
      '422 invalid-request',
      ['/email'],
    ])
    expect(await pointersOf({ email: fresh(), password: 'short' })).toEqual([
      '422 weak-password',
      ['/password'],
    ])
    expect(await pointersOf({})).toEqual(['422 invalid-request', ['/email', '/password']])
    expect(await pointersOf([])).toEqual(['422 invalid-request', ['']])
    expect(await pointersOf(null)).toEqual(['422 invalid-request', ['']])
  })

  test('treats a domain in ASCII and Unicode, and with a dot at its end, as one', async () => {
    const { call } = await service()
    const local = Bun.randomUUIDv7()
    const ascii = `${local}@xn--bcher-kva.example`
    const spellings = [ascii, `${local}@bücher.example`, `${local}@BÜCHER.example.`, `${ascii}.`]

    const { body } = await call('POST', '/api/auth/register', {
      body: { email: spellings[1], password },
    })

    expect(body.user.email).toBe(ascii)
    for (const email of spellings) {
      const login = await call('POST', '/api/auth/login', { body: { email, password } })
      expect([email, login.status, login.body.user?.id]).toEqual([email, 200, body.user.id])
      expect(codeOf(await call('POST', '/api/auth/register', { body: { email, password } }))).toBe(
        '409 email-taken',
      )
    }
  })

  test('leaves accounts with an earlier spelling as they are: they sign in, and their address is taken', async () => {
    const { call, someone } = await service()
    const { db } = await database()
    const local = Bun.randomUUIDv7()
    const stored = [`${local}@bücher.example`, `.${local}@b.example`]

    for (const email of stored) {
      const ada = await someone()
      await db.update(users).set({ email }).where(eq(users.id, ada.id))
      const login = await call('POST', '/api/auth/login', { body: { email, password } })
      const me = await call('GET', '/api/auth/me', { token: login.body.access_token })
      expect([login.status, me.status, me.body]).toEqual([
        200,
        200,
        { ...me.body, email, id: ada.id },
      ])
    }
    const own = await someone()
    const mine = `${Bun.randomUUIDv7()}@b`
    await db
      .update(users)
      .set({ email: `${mine}ücher.example` })
      .where(eq(users.id, own.id))
    const normal = `${mine.slice(0, -1)}xn--bcher-kva.example`
    const renamed = { email: normal, current_password: password }
    expect((await own.call('PATCH', '/api/auth/me', renamed)).body.email).toBe(normal)
    const bob = await someone()
    const same = [`${local}@xn--bcher-kva.example`, `${local}@bücher.example.`]
    for (const email of same) {
      const signUp = await call('POST', '/api/auth/register', { body: { email, password } })
      const change = await bob.call('PATCH', '/api/auth/me', { email, current_password: password })
      expect([email, codeOf(signUp), codeOf(change)]).toEqual([
        email,
        '409 email-taken',
        '409 email-taken',
      ])
    }
  })

  test('accepts an e-mail of 254 characters', async () => {
    const { call } = await service()
    const email = `${Bun.randomUUIDv7()}${'a'.repeat(216)}@b`
    expect(email).toHaveLength(254)

    expect(codeOf(await call('POST', '/api/auth/register', { body: { email, password } }))).toBe(
      '201',
    )
  })

  test('50 concurrent sign-ups with one e-mail, on three instances, create one account', async () => {
    const instances = [await service(), await service(), await service()]
    const email = fresh()

    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        instances[at % 3]?.call('POST', '/api/auth/register', {
          body: { email: at % 2 ? email : email.toUpperCase(), password },
        }),
      ),
    )

    const codes = answers.map((answer) => answer && codeOf(answer)).sort()
    expect(codes).toEqual(['201', ...Array(49).fill('409 email-taken')])
    const { db } = await database()
    expect(await db.select().from(users).where(eq(users.email, email))).toHaveLength(1)
  })

  test('can be closed, and sign-in still works', async () => {
    const here = await service()
    const closed = await service({ REGISTRATION: 'closed' })
    const { email } = await here.someone()

    expect(
      codeOf(
        await closed.call('POST', '/api/auth/register', { body: { email: fresh(), password } }),
      ),
    ).toBe('403 registration-closed')
    expect(
      codeOf(await closed.call('POST', '/api/auth/login', { body: { email, password } })),
    ).toBe('200')
  })

  test('refuses server-owned members', async () => {
    const { call } = await service()

    for (const member of ['id', 'role', 'admin', 'password_hash', 'created_at', 'user_id']) {
      const body = { email: fresh(), password, [member]: 'x' }
      const answer = await call('POST', '/api/auth/register', { body })
      expect(codeOf(answer)).toBe('422 invalid-request')
      expect(answer.body.errors).toEqual([
        { in: 'body', pointer: `/${member}`, detail: 'is not a known member' },
      ])
    }
  })
})

describe('a password', () => {
  test.each([
    'password',
    'PASSWORD',
    '12345678',
    'qwertyuiop',
    'iloveyou',
    'short',
    '1234567',
    '😀😀😀😀😀😀😀',
    'Password123!',
    'P@ssw0rd1',
    'iloveyou2',
    'aaaaaaaaaaaaaaaa',
    'asdfghjkl;',
    'abcdefgh',
    '20.11.1985',
    'x'.repeat(128),
    'x1'.repeat(64),
  ])('%s is too weak', async (weak) => {
    const { call, someone } = await service()
    const ada = await someone()

    const signUp = await call('POST', '/api/auth/register', {
      body: { email: fresh(), password: weak },
    })
    const change = await ada.call('PUT', '/api/auth/me/password', {
      current_password: password,
      new_password: weak,
    })

    expect(codeOf(signUp)).toBe('422 weak-password')
    expect(signUp.body.errors[0].pointer).toBe('/password')
    expect(codeOf(change)).toBe('422 weak-password')
    expect(change.body.errors[0].pointer).toBe('/new_password')
  })

  test('cannot be the e-mail itself, in any spelling', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const email = fresh()

    for (const same of [email, email.toUpperCase(), ` ${email} `])
      expect(
        codeOf(await call('POST', '/api/auth/register', { body: { email, password: same } })),
      ).toBe('422 weak-password')
    const body = { current_password: password, new_password: ada.email.toUpperCase() }
    expect(codeOf(await ada.call('PUT', '/api/auth/me/password', body))).toBe('422 weak-password')
  })

  test.each([
    ['8 characters', 'kx7!qp2z'],
    ['8 emoji', '😀😁😂🤣😃😄😅😆'],
    ['128 characters', `kx7!qp2z${'x1'.repeat(60)}`],
    ['128 emoji', '😀😁😂🤣😃😄😅😆'.repeat(16)],
    ['surrounding spaces', '   kx7 qp2z   '],
    ['CJK', '正しい馬電池ホチキス'],
  ])('of %s is accepted and signs in', async (_, good) => {
    const { call } = await service()
    const email = fresh()

    expect(
      codeOf(await call('POST', '/api/auth/register', { body: { email, password: good } })),
    ).toBe('201')
    expect(codeOf(await call('POST', '/api/auth/login', { body: { email, password: good } }))).toBe(
      '200',
    )
    const trimmed = await call('POST', '/api/auth/login', { body: { email, password: `${good} ` } })
    expect(trimmed.status).toBe([...good].length === 128 ? 422 : 401)
  })

  test.each([
    ['129 characters', 'x'.repeat(129)],
    ['no characters', ''],
    ['a NUL', 'correct horse\0battery'],
    ['a lone surrogate', 'correct horse \ud800 battery'],
    ['a number', 12_345_678],
    ['null', null],
  ])('of %s is 422', async (_, bad) => {
    const { call } = await service()
    const email = fresh()

    expect(
      codeOf(await call('POST', '/api/auth/register', { body: { email, password: bad } })),
    ).toBe('422 invalid-request')
    expect(codeOf(await call('POST', '/api/auth/login', { body: { email, password: bad } }))).toBe(
      '422 invalid-request',
    )
  })

  test('has at least PASSWORD_MIN characters', async () => {
    const { call } = await service({ PASSWORD_MIN: '12' })
    const signUp = (text: string) =>
      call('POST', '/api/auth/register', { body: { email: fresh(), password: text } })

    expect(codeOf(await signUp('kx7!qp2zkx7'))).toBe('422 weak-password')
    expect(codeOf(await signUp('kx7!qp2zkx7!'))).toBe('201')
  })

  test('is equal in NFC and NFD, and in no other spelling', async () => {
    const { call } = await service()
    const email = fresh()
    const secret = 'Ünïcödé pässwörd'
    await call('POST', '/api/auth/register', { body: { email, password: secret.normalize('NFC') } })
    const signIn = async (text: string) =>
      (await call('POST', '/api/auth/login', { body: { email, password: text } })).status

    expect(await signIn(secret.normalize('NFD'))).toBe(200)
    for (const other of [secret.toLowerCase(), `${secret} `, secret.slice(1), 'Unicode password'])
      expect(await signIn(other)).toBe(401)
  })

  test('is compared to its last byte, also after 72 bytes', async () => {
    const { call } = await service()
    const email = fresh()
    const long = `kx7!qp2z${'a1'.repeat(32)}`
    await call('POST', '/api/auth/register', { body: { email, password: `${long}X` } })
    const signIn = async (text: string) =>
      (await call('POST', '/api/auth/login', { body: { email, password: text } })).status

    expect(await signIn(`${long}X`)).toBe(200)
    for (const other of [`${long}Y`, long, `${long}XX`]) expect(await signIn(other)).toBe(401)
  })

  test('is stored as a bcrypt hash with BCRYPT_COST, and hashed again after that was raised', async () => {
    const cheap = await service()
    const costly = await service({ BCRYPT_COST: '5' })
    const { email, id } = await cheap.someone()
    const hash = async () => (await rowsOf(id)).users[0]?.password_hash ?? ''
    const first = await hash()

    await costly.call('POST', '/api/auth/login', { body: { email, password: 'wrong' } })
    expect(await hash()).toBe(first)
    await costly.call('POST', '/api/auth/login', { body: { email, password } })
    const second = await hash()
    expect([first.slice(0, 7), second.slice(0, 7)]).toEqual(['$2b$04$', '$2b$05$'])
    expect(
      (await cheap.call('POST', '/api/auth/login', { body: { email, password } })).status,
    ).toBe(200)
    expect(await hash()).toBe(second)
  })
})

describe('sign-in', () => {
  test('is 200 with a new session each time', async () => {
    const { call, someone } = await service()
    const { email, id } = await someone()

    const { status, headers, body } = await call('POST', '/api/auth/login', {
      body: { email, password },
    })

    expect([status, headers.get('location')]).toEqual([200, null])
    expect(Object.keys(body)).toEqual([...tokenMembers, 'user'])
    expect(body.user).toMatchObject({ id, email, name: null })
    expect((await rowsOf(id)).sessions).toHaveLength(2)
  })

  test('gives the same response for a wrong password, an unknown e-mail and a deleted account', async () => {
    const { call, someone } = await service()
    const [ada, deleted] = [await someone(), await someone()]
    await deleted.call('DELETE', '/api/auth/me', { current_password: password })
    const signIn = async (email: string, text: string) =>
      comparable(await call('POST', '/api/auth/login', { body: { email, password: text } }))

    const wrong = await signIn(ada.email, 'not the password')
    expect(wrong.status).toBe(401)
    expect(wrong.headers['www-authenticate']).toBe('Bearer realm="taskwarden"')
    for (const email of [fresh(), deleted.email, 'no e-mail', '', 'x'.repeat(5000), "' or 1=1 --"])
      expect(await signIn(email, password)).toEqual(wrong)
  })

  test('verifies one hash for an unknown e-mail, as for a wrong password', async () => {
    const { call, someone } = await service({ BCRYPT_COST: '10' })
    const ada = await someone()
    const signInMs = async (email: string) => {
      const from = performance.now()
      await call('POST', '/api/auth/login', { body: { email, password: 'not the password' } })
      return performance.now() - from
    }
    let [unknown, known] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
    // Alternating, so that other load on the machine affects both.
    for (let round = 0; round < 5; round++) {
      unknown = Math.min(unknown, await signInMs(fresh()))
      known = Math.min(known, await signInMs(ada.email))
    }

    const ratio = unknown / known
    expect(ratio).toBeGreaterThan(0.3)
    expect(ratio).toBeLessThan(3)
  })

  test('is 503 if the bcrypt queue is full, and task requests still work', async () => {
    using hashing = holdPasswordHashing()
    const { call, someone } = await service({ BCRYPT_QUEUE_MAX: '2' })
    const ada = await someone()
    // All cores but one hash at a time, and two more attempts wait.
    const admitted = Math.max(1, availableParallelism() - 1) + 2
    const refused: Answer[] = []
    const allRefused = Promise.withResolvers<void>()

    const waiting = Promise.all(
      Array.from({ length: admitted + 30 }, async () => {
        const answer = await call('POST', '/api/auth/login', { body: { email: fresh(), password } })
        if (answer.status === 503) refused.push(answer)
        if (refused.length === 30) allRefused.resolve()
        return answer.status
      }),
    )
    const listed = await ada.call('GET', '/api/tasks')
    await allRefused.promise
    hashing.release()
    const statuses = await waiting

    expect(listed.status).toBe(200)
    expect(refused).toHaveLength(30)
    expect(statuses.filter((status) => status === 401)).toHaveLength(admitted)
    for (const answer of refused) {
      expect(codeOf(answer)).toBe('503 unavailable')
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    }
  })
})

describe('the OAuth 2 token endpoint', () => {
  const type = 'application/x-www-form-urlencoded'
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
  const tokenService = async () => {
    const here = await service()
    const ask = (body: string, headers: Record<string, string> = {}) =>
      here.call('POST', '/api/oauth/token', { body, headers: { 'content-type': type, ...headers } })
    return { ...here, ask }
  }

  test('gives a token, and ignores other members', async () => {
    const { ask, call, someone } = await tokenService()
    const { email } = await someone()
    const good = { grant_type: 'password', username: email, password }

    for (const [extra, headers] of [
      [{}, {}],
      [{ scope: 'admin', client_id: 'x', client_secret: 'y', state: 'z' }, {}],
      [{}, { authorization: 'Basic eDp5' }],
      [{}, { authorization: 'Bearer broken' }],
      [{}, { 'content-type': `${type}; charset=UTF-8` }],
    ] as [Record<string, string>, Record<string, string>][]) {
      const { status, body } = await ask(form({ ...good, ...extra }), headers)
      expect(status).toBe(200)
      expect(Object.keys(body)).toEqual(tokenMembers)
      expect(body.token_type).toBe('Bearer')
      expect((await call('GET', '/api/tasks', { token: body.access_token })).status).toBe(200)
    }
  })

  test('has the errors of RFC 6749', async () => {
    const { ask, someone } = await tokenService()
    const { email } = await someone()
    const good = { grant_type: 'password', username: email, password }
    const without = (name: string) =>
      form(Object.fromEntries(Object.entries(good).filter(([key]) => key !== name)))
    const cases = [
      ['', 'invalid_request'],
      ['%', 'invalid_request'],
      [without('grant_type'), 'invalid_request'],
      [without('username'), 'invalid_request'],
      [without('password'), 'invalid_request'],
      [`${form(good)}&username=x`, 'invalid_request'],
      [`${form(good)}&grant_type=password`, 'invalid_request'],
      [form({ ...good, password: '' }), 'invalid_request'],
      [form({ ...good, password: 'x'.repeat(129) }), 'invalid_request'],
      [form({ ...good, password: 'a\0b' }), 'invalid_request'],
      [form({ ...good, username: 'a\0b' }), 'invalid_request'],
      [form({ ...good, grant_type: 'client_credentials' }), 'unsupported_grant_type'],
      [form({ ...good, grant_type: 'PASSWORD' }), 'unsupported_grant_type'],
      [form({ ...good, password: 'wrong' }), 'invalid_grant'],
      [form({ ...good, password: '😀'.repeat(128) }), 'invalid_grant'],
      [form({ ...good, username: fresh() }), 'invalid_grant'],
      [form({ ...good, username: 'no e-mail' }), 'invalid_grant'],
    ] as const

    for (const [text, error] of cases) {
      const { status, headers, body } = await ask(text)
      expect([text, status, body.error]).toEqual([text, 400, error])
      expect(Object.keys(body)).toEqual(['error', 'error_description'])
      expect(headers.get('content-type')).toStartWith('application/json')
    }
  })

  test('accepts forms only, with the size limit of all bodies', async () => {
    const { ask, call } = await tokenService()
    const good = { grant_type: 'password', username: fresh(), password }

    expect(codeOf(await call('POST', '/api/oauth/token', { body: good }))).toBe(
      '415 unsupported-media-type',
    )
    expect(codeOf(await ask(form({ ...good, x: 'x'.repeat(70_000) })))).toBe('413 body-too-large')
    const invalid = await call('POST', '/api/oauth/token', {
      body: new Uint8Array([0xff]),
      headers: { 'content-type': type },
    })
    expect(codeOf(invalid)).toBe('400 malformed-request')
  })
})

describe('a user’s own account', () => {
  test('can set and remove a name', async () => {
    const { someone } = await service()
    const ada = await someone()
    const me = (await ada.call('GET', '/api/auth/me')).body

    for (const name of ['Ada', ' Ada ', '😀'.repeat(100), null]) {
      const { status, body } = await ada.call('PATCH', '/api/auth/me', { name })
      expect([status, body]).toEqual([200, { ...me, name }])
      expect((await ada.call('GET', '/api/auth/me')).body).toEqual(body)
    }
  })

  test('is returned unchanged by an empty patch', async () => {
    const { someone } = await service()
    const ada = await someone()
    const before = await rowsOf(ada.id)

    const { status, body } = await ada.call('PATCH', '/api/auth/me', {})

    expect([status, body]).toEqual([200, (await ada.call('GET', '/api/auth/me')).body])
    expect(await rowsOf(ada.id)).toEqual(before)
  })

  test.each([
    [{ name: '' }, '/name'],
    [{ name: '😀'.repeat(101) }, '/name'],
    [{ name: 1 }, '/name'],
    [{ id: 'x' }, '/id'],
    [{ email: 'new@example.test' }, '/current_password'],
    [{ current_password: password }, '/current_password'],
    [{ email: 'none', current_password: password }, '/email'],
    [{ email: null, current_password: password }, '/email'],
    [{ name: 'x', current_password: password }, '/current_password'],
  ])('is not changed by %j', async (body, pointer) => {
    const { someone } = await service()
    const ada = await someone()
    const before = await rowsOf(ada.id)

    const answer = await ada.call('PATCH', '/api/auth/me', body)

    expect(codeOf(answer)).toBe('422 invalid-request')
    expect(answer.body.errors[0].pointer).toBe(pointer)
    expect(await rowsOf(ada.id)).toEqual(before)
  })

  test('changes its e-mail with the password, and then signs in with the new one only', async () => {
    const { call, someone } = await service()
    const [ada, bob] = [await someone(), await someone()]
    const newEmail = fresh()
    const patch = (email: string, current_password: string) =>
      ada.call('PATCH', '/api/auth/me', { email, current_password })
    const before = await rowsOf(ada.id)

    expect(codeOf(await patch(newEmail, 'wrong'))).toBe('403 wrong-password')
    expect(codeOf(await patch(bob.email.toUpperCase(), password))).toBe('409 email-taken')
    expect((await rowsOf(ada.id)).users).toEqual(before.users)
    const { status, body } = await patch(` ${newEmail.toUpperCase()}`, password)
    expect([status, body.email]).toEqual([200, newEmail])
    expect(codeOf(await patch(newEmail, password))).toBe('200')
    const signIn = (email: string) => call('POST', '/api/auth/login', { body: { email, password } })
    expect(codeOf(await signIn(ada.email))).toBe('401 invalid-credentials')
    expect(codeOf(await signIn(newEmail))).toBe('200')
  })

  test('changes its password with the old one', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const next = 'wrong donkey power plant'
    const change = (current_password: string) =>
      ada.call('PUT', '/api/auth/me/password', { current_password, new_password: next })
    const signIn = async (text: string) =>
      (await call('POST', '/api/auth/login', { body: { email: ada.email, password: text } })).status
    const before = await rowsOf(ada.id)

    expect(codeOf(await change('wrong'))).toBe('403 wrong-password')
    expect(await rowsOf(ada.id)).toEqual(before)
    expect(await change(password)).toMatchObject({ status: 204, text: '' })
    expect([await signIn(password), await signIn(next)]).toEqual([401, 200])
    expect((await ada.call('GET', '/api/auth/me')).status).toBe(200)
  })

  test('keeps its sessions if a password change was verified against an outdated hash', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    await call('POST', '/api/auth/login', { body: { email: ada.email, password } })
    const before = await rowsOf(ada.id)
    const principal = { userId: ada.id, sessionId: before.sessions[0]?.id ?? '' }

    const { db } = await database()
    const isChanged = await createAccountRepository(
      db,
      createNoticeStatements(db, false),
    )(principal).changePassword('an outdated hash', 'a new hash')

    expect(isChanged).toBe(false)
    expect(before.sessions).toHaveLength(2)
    expect(await rowsOf(ada.id)).toEqual(before)
  })

  test('is erased with its sessions and tasks, and its e-mail is free again', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    await ada.call('POST', '/api/tasks', { title: 'x' })
    const erase = (current_password: string) =>
      ada.call('DELETE', '/api/auth/me', { current_password })
    const before = await rowsOf(ada.id)

    expect(codeOf(await erase('wrong'))).toBe('403 wrong-password')
    expect(await rowsOf(ada.id)).toEqual(before)
    expect(await erase(password)).toMatchObject({ status: 204, text: '' })
    expect(await rowsOf(ada.id)).toEqual({ users: [], changes: [], sessions: [], tasks: [] })
    const again = await call('POST', '/api/auth/register', { body: { email: ada.email, password } })
    expect(again.status).toBe(201)
    expect(again.body.user.id).not.toBe(ada.id)
  })

  test('erased while tasks are added leaves no orphans and is no error', async () => {
    const { someone } = await service()

    for (const _ of [1, 2, 3, 4, 5]) {
      const ada = await someone()
      const [erased, ...added] = await Promise.all([
        ada.call('DELETE', '/api/auth/me', { current_password: password }),
        ...Array.from({ length: 10 }, () => ada.call('POST', '/api/tasks', { title: 'x' })),
      ])
      expect(erased?.status).toBe(204)
      for (const { status } of added) expect(status).toBeOneOf([201, 401])
      expect((await rowsOf(ada.id)).tasks).toEqual([])
    }
  })

  test('of two concurrent password changes with the same old password, one succeeds', async () => {
    const { call, someone } = await service()
    const ada = await someone()
    const login = await call('POST', '/api/auth/login', { body: { email: ada.email, password } })
    const tokens = [ada.token, login.body.access_token as string]
    const next = ['wrong donkey power plant', 'yet another long password']

    const answers = await Promise.all(
      tokens.map((token, at) =>
        call('PUT', '/api/auth/me/password', {
          token,
          body: { current_password: password, new_password: next[at] },
        }),
      ),
    )

    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 204)).toHaveLength(1)
    const winner = statuses.indexOf(204)
    expect(statuses[1 - winner]).toBeOneOf([401, 403])
    const { status } = await call('POST', '/api/auth/login', {
      body: { email: ada.email, password: next[winner] },
    })
    expect(status).toBe(200)
  })
})

test('created_at and sessions use the clock of the process', async () => {
  const { someone, call } = await service()
  pass(-86_400_000)
  const ada = await someone()

  const { body } = await call('GET', '/api/auth/me', { token: ada.token })
  expect(Math.abs(Date.parse(body.created_at) - Date.now())).toBeLessThan(5000)
  expect(claimsOf(ada.token).iat * 1000).toBeLessThanOrEqual(Date.now())
})
