import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq, like } from 'drizzle-orm'
import { users } from '../../src/db/schema.ts'
import {
  comparable,
  database,
  pass,
  realTime,
  type Someone,
  sentBy,
  service,
} from '../support/service.ts'
import { type Smtp, startSmtp } from '../support/smtp.ts'

afterEach(realTime)

const [hour, day] = [3_600_000, 86_400_000]
const password = 'correct horse battery'
const otherPassword = 'wrong donkey power plant'
const fresh = () => `${Bun.randomUUIDv7()}@example.test`

let smtp: Smtp
beforeAll(async () => {
  smtp = await startSmtp()
})
afterAll(() => smtp.stop())

const mailing = async (env: Record<string, string> = {}) => {
  const here = await service({ ...smtp.env, ...env })
  const post = (path: string, body?: unknown, token?: string) =>
    here.call('POST', path, { body, token })
  const tokensFor = (email: string, page: string) =>
    smtp
      .mailsTo(email)
      .flatMap(
        ({ text }) => new RegExp(`/account/${page}#token=([\\w-]{64})`).exec(text)?.[1] ?? [],
      )
  return {
    ...here,
    post,
    signUp: (email: string, text = password) =>
      post('/api/auth/register', { email, password: text }),
    signIn: (email: string, text = password) => post('/api/auth/login', { email, password: text }),
    verify: (token: string | undefined) => post('/api/auth/email/verify', { token: token ?? '' }),
    reset: (token: string | undefined, text: string) =>
      post('/api/auth/password/reset', { token: token ?? '', new_password: text }),
    /** The tokens of the links that were mailed to an address, oldest first. */
    mailed: async (email: string, page: 'verify' | 'reset' = 'verify') => {
      await here.sendMail()
      return tokensFor(email, page)
    },
  }
}
const required = () => mailing({ EMAIL_VERIFICATION: 'required', BCRYPT_QUEUE_MAX: '200' })
const codeOf = ({ status, body }: { status: number; body: { code?: string } }) =>
  `${status} ${body?.code ?? ''}`.trim()
const meOf = async ({ call }: Someone) => (await call('GET', '/api/auth/me')).body

describe('with EMAIL_VERIFICATION=required, a sign-up', () => {
  test('creates an account that can be used after its link was used', async () => {
    const here = await required()
    const email = fresh()

    const signedUp = await here.signUp(email)
    const before = await here.signIn(email)
    const wrong = await here.signIn(email, otherPassword)
    const token = (await here.mailed(email)).at(-1)
    const verified = await here.verify(token)
    const after = await here.signIn(email)

    expect([signedUp.status, signedUp.text]).toEqual([202, '{}'])
    expect(codeOf(before)).toBe('403 email-unverified')
    expect(codeOf(wrong)).toBe('401 invalid-credentials')
    expect(verified.status).toBe(204)
    expect(after.status).toBe(200)
    expect(after.body.user).toMatchObject({ email, email_verified: true, pending_email: null })
    expect(codeOf(await here.verify(token))).toBe('422 link-expired')
  })

  test('gets the same response and the same statements for known, unverified and throttled addresses', async () => {
    const here = await required()
    const [known, unverified, throttled] = [fresh(), fresh(), fresh()]
    await here.signUp(known)
    await here.verify((await here.mailed(known))[0])
    await here.signUp(unverified)
    for (let at = 0; at < 5; at++) await here.signUp(throttled)
    const asked = async (email: string, text?: string) => {
      let answer: Awaited<ReturnType<typeof here.signUp>> | undefined
      const sent = await sentBy(async () => {
        answer = await here.signUp(email, text)
      })
      return [answer && comparable(answer), sent.map(({ statement }) => statement)]
    }

    const expected = await asked(fresh())
    for (const [email, text] of [
      [known],
      [known, otherPassword],
      [unverified],
      [unverified, otherPassword],
      [throttled],
    ])
      expect([email, ...(await asked(email ?? '', text))]).toEqual([email, ...expected])
  })

  test('for an address with an account changes nothing, and tells its owner only', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email)
    await here.verify((await here.mailed(email))[0])
    const before = smtp.mailsTo(email).length

    await here.signUp(email, otherPassword)
    await here.sendMail()

    const [mail, ...more] = smtp.mailsTo(email).slice(before)
    expect(more).toEqual([])
    expect(mail?.text).toContain('You have an account already')
    expect(mail?.text).not.toContain('token=')
    expect((await here.signIn(email)).status).toBe(200)
    expect((await here.signIn(email, otherPassword)).status).toBe(401)
  })

  test('with the address of another person gains nothing: the owner chooses the password', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email, otherPassword)
    await here.signUp(email)

    const [reset] = await here.mailed(email, 'reset')
    const links = await here.mailed(email)
    // The first person cannot get another link that would verify the first password.
    expect(codeOf(await here.signIn(email, otherPassword))).toBe('403 email-unverified')
    pass(3 * day)
    await here.purge(1)
    await here.signUp(email, otherPassword)
    links.push(...(await here.mailed(email)))
    for (const link of links) expect(codeOf(await here.verify(link))).toBe('422 link-expired')
    expect(codeOf(await here.reset(reset, 'a third donkey power plant'))).toBe('422 link-expired')
    await here.post('/api/auth/password/forgot', { email })
    const latest = (await here.mailed(email, 'reset')).at(-1)
    const done = await here.reset(latest, 'a third donkey power plant')

    expect(done.status).toBe(204)
    expect((await here.signIn(email, otherPassword)).status).toBe(401)
    expect((await here.signIn(email)).status).toBe(401)
    const { body } = await here.signIn(email, 'a third donkey power plant')
    expect(body.user.email_verified).toBe(true)
    const next = fresh()
    await here.call('PATCH', '/api/auth/me', {
      token: body.access_token,
      body: { email: next, current_password: 'a third donkey power plant' },
    })
    expect((await here.verify((await here.mailed(next))[0])).status).toBe(204)
  })

  test('again with the same password mails the link again, and replaces the first', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email)
    const [first] = await here.mailed(email)
    await here.signUp(email)

    const [, second] = await here.mailed(email)

    expect(codeOf(await here.verify(first))).toBe('422 link-expired')
    expect((await here.verify(second)).status).toBe(204)
  })

  test('of 20 concurrent ones creates one account', async () => {
    const here = await required()
    const email = fresh()

    const answers = await Promise.all(Array.from({ length: 20 }, () => here.signUp(email)))

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    const { db } = await database()
    expect(await db.select().from(users).where(eq(users.email, email))).toHaveLength(1)
  })

  test('leaves no placeholder after its message was sent', async () => {
    const here = await required()
    const email = fresh()
    for (let at = 0; at < 8; at++) await here.signUp(email)
    await here.sendMail()
    expect(smtp.mailsTo(email)).toHaveLength(5)

    const { db } = await database()
    expect(await db.select().from(users).where(like(users.email, '%@placeholder.invalid'))).toEqual(
      [],
    )
  })

  test('is reminded by a sign-in with the right password, within the limit, which is no failed attempt', async () => {
    const here = await mailing({ EMAIL_VERIFICATION: 'required', LOGIN_ATTEMPTS: '3' })
    const email = fresh()
    await here.signUp(email)
    for (let at = 0; at < 8; at++)
      expect(codeOf(await here.signIn(email))).toBe('403 email-unverified')

    const tokens = await here.mailed(email)

    expect(tokens.length).toBeWithin(1, 6)
    expect((await here.verify(tokens.at(-1))).status).toBe(204)
    expect((await here.signIn(email)).status).toBe(200)
  })

  test('is refused by the OAuth 2 form like a wrong password', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email)
    const form = new URLSearchParams({ grant_type: 'password', username: email, password })

    const answer = await here.call('POST', '/api/oauth/token', {
      body: `${form}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })

    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_grant'])
  })

  test('is verified by a reset link too', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email)
    await here.post('/api/auth/password/forgot', { email })

    const [token] = await here.mailed(email, 'reset')

    expect((await here.reset(token, otherPassword)).status).toBe(204)
    expect((await here.signIn(email, otherPassword)).body.user.email_verified).toBe(true)
  })

  test('works for accounts that were created before, without verification', async () => {
    const before = await mailing()
    const ada = await before.someone()
    const here = await required()

    const { status, body } = await here.signIn(ada.email)

    expect([status, body.user.email_verified]).toEqual([200, false])
  })

  test('requires a mail server on PostgreSQL', async () => {
    const env = { DATABASE_URL: 'postgres://localhost/x', EMAIL_VERIFICATION: 'required' }

    expect(service(env)).rejects.toThrow('EMAIL_VERIFICATION: requires MAIL_URL')
  })
})

describe('a verification link', () => {
  test('is valid for a day, and works once for 50 concurrent uses', async () => {
    const here = await required()
    const [ada, bob] = [fresh(), fresh()]
    await here.signUp(ada)
    await here.signUp(bob)
    const [adas] = await here.mailed(ada)
    const [bobs] = await here.mailed(bob)
    pass(day - hour)
    const answers = await Promise.all(Array.from({ length: 50 }, () => here.verify(adas)))
    pass(hour)

    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(codeOf(await here.verify(bobs))).toBe('422 link-expired')
  })

  test('does not verify a disabled account', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email)
    const [token] = await here.mailed(email)
    const { db } = await database()
    const disabled_at = new Date().toISOString()
    await db.update(users).set({ disabled_at }).where(eq(users.email, email))

    expect(codeOf(await here.verify(token))).toBe('422 link-expired')
    await db.update(users).set({ disabled_at: null }).where(eq(users.email, email))
    expect((await here.verify(token)).status).toBe(204)
  })

  test('is not accepted as a reset link, nor a reset link as a verification link', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email)
    await here.post('/api/auth/password/forgot', { email })
    const [verify] = await here.mailed(email)
    const [reset] = await here.mailed(email, 'reset')

    expect(codeOf(await here.verify(reset))).toBe('422 link-expired')
    expect(codeOf(await here.reset(verify, otherPassword))).toBe('422 link-expired')
    expect((await here.verify(verify)).status).toBe(204)
  })

  test('is used by the page without scripts, and not by GET', async () => {
    const here = await required()
    const email = fresh()
    await here.signUp(email)
    const [token = ''] = await here.mailed(email)
    const post = (members: Record<string, string>) =>
      here.call('POST', '/account/verify', {
        body: `${new URLSearchParams(members)}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })

    const shown = await here.call('GET', `/account/verify?token=${token}`)
    await here.call('HEAD', '/account/verify')
    const wrong = await post({ token: 'x' })
    const done = await post({ token })
    const again = await post({ token })

    expect(shown.text).not.toContain(token)
    expect([wrong.status, wrong.text]).toEqual([422, expect.stringContaining('role="alert"')])
    expect([done.status, done.text]).toEqual([200, expect.stringContaining('is confirmed')])
    expect(again.status).toBe(422)
    expect((await here.signIn(email)).status).toBe(200)
  })
})

test.each(['verify', 'reset'])(
  'the page /account/%s leaves an outage to the operator',
  async (page) => {
    const down = () => {
      throw Object.assign(new Error('gone'), { code: 'CONNECTION_CLOSED' })
    }
    const here = await service(smtp.env, { db: down })

    const answer = await here.call('POST', `/account/${page}`, {
      body: `token=${'x'.repeat(64)}&new_password=${otherPassword}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })

    expect(codeOf(answer)).toBe('503 unavailable')
  },
)

describe('a change of the e-mail', () => {
  const asked = async (here: Awaited<ReturnType<typeof mailing>>) => {
    const ada = await here.someone()
    const next = fresh()
    const change = (email = next) =>
      ada.call('PATCH', '/api/auth/me', { email, current_password: ada.password })
    return { ada, next, change, answer: await change() }
  }

  test('is made by the link to the new address, and the old address gets a notice', async () => {
    const here = await mailing()
    const { ada, next, answer } = await asked(here)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      email: ada.email,
      pending_email: next,
      email_verified: false,
    })
    expect((await here.signIn(next)).status).toBe(401)

    const [token] = await here.mailed(next)
    expect((await here.verify(token)).status).toBe(204)
    await here.sendMail()

    expect(await meOf(ada)).toMatchObject({
      email: next,
      pending_email: null,
      email_verified: true,
    })
    expect((await here.signIn(next)).status).toBe(200)
    expect((await here.signIn(ada.email)).status).toBe(401)
    expect(smtp.mailsTo(ada.email).map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw)?.[1])).toEqual([
      'Your e-mail address was changed',
    ])
  })

  test('to a taken address is reported in a message to it only', async () => {
    const here = await mailing()
    const bob = await here.someone()
    const { ada, change } = await asked(here)

    const taken = await change(bob.email)
    await here.sendMail()

    expect(taken.status).toBe(200)
    expect(taken.body.pending_email).toBe(bob.email)
    const [mail] = smtp.mailsTo(bob.email)
    expect(mail?.text).toContain('has an account already')
    expect(mail?.text).not.toContain('token=')
    expect((await meOf(ada)).email).toBe(ada.email)
  })

  test('to an address that is taken before the link is used changes nothing', async () => {
    const here = await mailing()
    const { ada, next } = await asked(here)
    const [token] = await here.mailed(next)
    await here.signUp(next)

    expect(codeOf(await here.verify(token))).toBe('422 link-expired')
    expect((await meOf(ada)).email).toBe(ada.email)
  })

  test('is replaced by a newer one, whose link alone works', async () => {
    const here = await mailing()
    const { ada, next, change } = await asked(here)
    const [first] = await here.mailed(next)
    const newer = fresh()
    await change(newer)

    expect(codeOf(await here.verify(first))).toBe('422 link-expired')
    const [second] = await here.mailed(newer)
    expect((await here.verify(second)).status).toBe(204)
    expect((await meOf(ada)).email).toBe(newer)
  })

  test('without a mail server is immediate, and the new address is not verified', async () => {
    const verifying = await mailing()
    const ada = await verifying.someone()
    await verifying.post('/api/auth/email/verification', undefined, ada.token)
    await verifying.verify((await verifying.mailed(ada.email))[0])
    expect((await meOf(ada)).email_verified).toBe(true)
    const here = await service({ DATABASE_URL: 'postgres://localhost/x' })
    const next = fresh()

    const answer = await here.call('PATCH', '/api/auth/me', {
      token: ada.token,
      body: { email: next, current_password: ada.password },
    })

    expect(answer.body).toMatchObject({ email: next, email_verified: false, pending_email: null })
  })

  test('with verified e-mails and files in place of a server reports no taken address either', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskwarden-'))
    const env = { DATABASE_URL: 'pglite:memory', DATA_DIR: folder }
    const here = await service({ ...env, EMAIL_VERIFICATION: 'required' })
    const plain = await mailing()
    const [ada, bob] = [await plain.someone(), await plain.someone()]

    const answer = await here.call('PATCH', '/api/auth/me', {
      token: ada.token,
      body: { email: bob.email, current_password: ada.password },
    })

    expect([answer.status, answer.body.pending_email]).toEqual([200, bob.email])
    await rm(folder, { recursive: true })
  })

  test('needs the password, and a session', async () => {
    const here = await mailing()
    const ada = await here.someone()
    const email = fresh()

    const wrong = await ada.call('PATCH', '/api/auth/me', { email, current_password: 'x' })
    await ada.call('POST', '/api/auth/logout')
    const ended = await ada.call('PATCH', '/api/auth/me', {
      email,
      current_password: ada.password,
    })

    expect([codeOf(wrong), codeOf(ended)]).toEqual(['403 wrong-password', '401 unauthenticated'])
    await here.sendMail()
    expect(smtp.mailsTo(email)).toEqual([])
  })
})

describe('a request for the link', () => {
  test('mails it to the pending address, or to the one that is not verified, five times per hour', async () => {
    const here = await mailing()
    const ada = await here.someone()
    const again = () => here.post('/api/auth/email/verification', undefined, ada.token)

    for (let at = 0; at < 7; at++) expect([(await again()).status]).toEqual([202])
    const tokens = await here.mailed(ada.email)
    expect(tokens.length).toBeWithin(1, 6)
    expect((await here.verify(tokens.at(-1))).status).toBe(204)
    pass(hour)
    const before = smtp.mailsTo(ada.email).length
    expect((await again()).text).toBe('{}')
    await here.sendMail()
    expect(smtp.mailsTo(ada.email)).toHaveLength(before)

    const next = fresh()
    await ada.call('PATCH', '/api/auth/me', { email: next, current_password: ada.password })
    await again()
    expect(await here.mailed(next)).toHaveLength(2)
  })

  test('is 503 mail-disabled without a mail server on PostgreSQL', async () => {
    const here = await service({ DATABASE_URL: 'postgres://localhost/x' })
    const ada = await here.someone()

    expect(codeOf(await ada.call('POST', '/api/auth/email/verification'))).toBe('503 mail-disabled')
  })
})
