import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { createPasswordResetRepository } from '../../src/auth/password-reset/repository.ts'
import { mailLinks, mailMessages, users } from '../../src/db/schema.ts'
import { createLinkTokens } from '../../src/mail/link-tokens.ts'
import { createNoticeStatements } from '../../src/mail/notices.ts'
import { secret } from '../support/forge.ts'
import { createOwnStore } from '../support/rate-limit-stores.ts'
import {
  comparable,
  database,
  operatedAccount,
  pass,
  realTime,
  rowsOf,
  type Service,
  type Someone,
  sentBy,
  service,
} from '../support/service.ts'
import { type Smtp, startSmtp } from '../support/smtp.ts'

afterEach(realTime)

const [hour, second] = [3_600_000, 1000]
const newPassword = 'wrong donkey power plant'

let smtp: Smtp
beforeAll(async () => {
  smtp = await startSmtp()
})
afterAll(() => smtp.stop())

/** A service that sends mail, and what a user does with it. */
const mailing = async (env: Record<string, string> = {}) => {
  const here = await service({ ...smtp.env, ...env })
  const forgot = (email: string, headers: Record<string, string> = {}) =>
    here.call('POST', '/api/auth/password/forgot', { body: { email }, headers })
  const reset = (token: string, new_password = newPassword) =>
    here.call('POST', '/api/auth/password/reset', { body: { token, new_password } })
  const linkOf = (mail: { text: string } | undefined) =>
    /https:\/\/tasks\.example\/account\/reset#token=([\w-]{64})/.exec(mail?.text ?? '')?.[1] ?? ''
  /** The token of a link that was requested and mailed now. */
  const requestLink = async (email: string) => {
    await forgot(email)
    await here.sendMail()
    return linkOf(smtp.mailsTo(email).at(-1))
  }
  const signIn = async (email: string, password: string) =>
    (await here.call('POST', '/api/auth/login', { body: { email, password } })).status
  return { ...here, forgot, reset, requestLink, linkOf, signIn }
}

const statusOf = async ({ call }: Service, token: string) =>
  (await call('GET', '/api/tasks', { token })).status
const codeOf = ({ status, body }: { status: number; body: { code?: string } }) =>
  `${status} ${body?.code ?? ''}`.trim()

describe('a forgotten password', () => {
  test('is replaced by a mailed link, which ends all sessions and tokens and causes a notice', async () => {
    const here = await mailing()
    const ada = await here.someone()
    const { body: personal } = await ada.call('POST', '/api/auth/tokens', {
      name: 'x',
      scope: 'tasks:read',
    })

    const asked = await here.forgot(ada.email)
    await here.sendMail()
    const [mail] = smtp.mailsTo(ada.email)
    const done = await here.reset(here.linkOf(mail))
    await here.sendMail()

    expect([asked.status, asked.body]).toEqual([202, {}])
    expect(mail?.from).toBe('no-reply@tasks.example')
    expect(mail?.raw).toMatch(/^Auto-Submitted: auto-generated\r$/m)
    expect(mail?.raw).toContain('Content-Type: text/plain')
    expect(mail?.raw).toContain('Content-Type: text/html')
    expect(done.status).toBe(204)
    expect(await here.signIn(ada.email, newPassword)).toBe(200)
    expect(await here.signIn(ada.email, ada.password)).toBe(401)
    expect(await statusOf(here, ada.token)).toBe(401)
    expect(await statusOf(here, personal.access_token)).toBe(401)
    const [, notice] = smtp.mailsTo(ada.email)
    expect(notice?.text).toContain('Subject: Your password was changed')
    expect(notice?.text).not.toContain('token=')
    expect(here.log.filter(({ event }) => event === 'password reset')).toHaveLength(1)
  })

  test('of any spelling of the address finds the account', async () => {
    const here = await mailing()
    const email = `${Bun.randomUUIDv7()}@bücher.example`
    await here.call('POST', '/api/auth/register', {
      body: { email, password: 'correct horse battery' },
    })

    await here.forgot(` ${email.toUpperCase()}. `)
    await here.sendMail()

    const [local = ''] = email.split('@')
    expect(smtp.received.filter(({ to }) => to[0]?.startsWith(local))).toHaveLength(1)
  })

  test('gets the same response and statement for an address without an account, which gets no mail', async () => {
    const here = await mailing()
    const ada = await here.someone()
    const nobody = `${Bun.randomUUIDv7()}@example.test`
    const asked = async (email: string) => {
      let answer: Awaited<ReturnType<typeof here.forgot>> | undefined
      const sent = await sentBy(async () => {
        answer = await here.forgot(email)
      })
      return [answer && comparable(answer), sent.map(({ statement }) => statement)]
    }

    const [known, unknown, odd] = [
      await asked(ada.email),
      await asked(nobody),
      await asked('not an address'),
    ]
    await here.sendMail()

    expect(unknown).toEqual(known)
    expect(odd).toEqual(known)
    expect(smtp.mailsTo(ada.email)).toHaveLength(1)
    expect(smtp.mailsTo(nobody)).toEqual([])
  })

  test('gets five links per hour for an address over all instances, and then the same response without one', async () => {
    const rateLimitStore = await createOwnStore()
    const here = await mailing()
    const others = await Promise.all([1, 2].map(() => service(smtp.env, { rateLimitStore })))
    const ada = await here.someone()
    const nobody = `${Bun.randomUUIDv7()}@example.test`
    const ask = async (email: string) => {
      const answers = []
      for (let at = 0; at < 7; at++)
        answers.push(
          await others[at % 2]?.call('POST', '/api/auth/password/forgot', { body: { email } }),
        )
      return answers.map((answer) => [answer?.status, answer?.text])
    }

    const known = await ask(ada.email)
    const unknown = await ask(nobody)
    await here.sendMail()

    expect(known).toEqual(Array.from({ length: 7 }, () => [202, '{}']))
    expect(unknown).toEqual(known)
    // Each newer request replaces the link of an older one, so at least one of the five is mailed.
    expect(smtp.mailsTo(ada.email).length).toBeWithin(1, 6)
    const before = smtp.mailsTo(ada.email).length
    pass(hour)
    await others[0]?.call('POST', '/api/auth/password/forgot', { body: { email: ada.email } })
    await here.sendMail()
    expect(smtp.mailsTo(ada.email)).toHaveLength(before + 1)
  })

  test('counts for the client address like a sign-in', async () => {
    const here = await mailing({ LOGIN_ATTEMPTS_PER_ADDRESS: '2' })
    const answers = []
    for (let at = 0; at < 3; at++) answers.push(await here.forgot(`${at}@example.test`))

    expect(answers.map(codeOf)).toEqual(['202', '202', '429 too-many-attempts'])
  })

  test('of a disabled or a federated account gets no link', async () => {
    const here = await mailing()
    const ada = await here.someone()
    const token = await here.requestLink(ada.email)
    await operatedAccount((await database()).db, ada.id).disable()

    expect(codeOf(await here.reset(token))).toBe('422 link-expired')
    expect(await here.requestLink(ada.email)).toBe(token)
    expect(smtp.mailsTo(ada.email)).toHaveLength(1)
  })

  test('is 503 mail-disabled without a mail server on PostgreSQL', async () => {
    const here = await service({ DATABASE_URL: 'postgres://localhost/x' })
    const body = { email: 'a@b' }

    expect(codeOf(await here.call('POST', '/api/auth/password/forgot', { body }))).toBe(
      '503 mail-disabled',
    )
  })

  test('is written to a file by the embedded database without a mail server', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskwarden-'))
    const here = await service({ DATABASE_URL: 'pglite:memory', DATA_DIR: folder, PORT: '8123' })
    const ada = await here.someone()
    await here.call('POST', '/api/auth/password/forgot', { body: { email: ada.email } })

    await here.sendMail()

    const files = await readdir(join(folder, 'outbox'))
    const mails = await Promise.all(
      files.map((file) => readFile(join(folder, 'outbox', file), 'utf8')),
    )
    const own = mails.filter((mail) => mail.includes(`To: ${ada.email}`))
    expect(files.every((file) => /^[\w-]+\.eml$/.test(file))).toBe(true)
    expect(own).toHaveLength(1)
    expect(own[0]?.replace(/=\r?\n/g, '')).toContain('http://localhost:8123/account/reset#token=3D')
    expect(here.log.some(({ event, file }) => event === 'mail written' && file)).toBe(true)
    await rm(folder, { recursive: true })
  })
})

describe('a link', () => {
  const used = async () => {
    const here = await mailing({ BCRYPT_QUEUE_MAX: '100' })
    const ada = await here.someone()
    return { here, ada, token: await here.requestLink(ada.email) }
  }

  test('works once, for an hour', async () => {
    const { here, ada, token } = await used()
    pass(hour - 10 * second)
    expect((await here.reset(token)).status).toBe(204)
    expect(codeOf(await here.reset(token))).toBe('422 link-expired')

    const late = await here.requestLink(ada.email)
    pass(hour)
    expect(codeOf(await here.reset(late))).toBe('422 link-expired')
  })

  test('of 50 concurrent uses has one success', async () => {
    const { here, ada, token } = await used()
    const passwords = Array.from({ length: 50 }, (_, at) => `${newPassword} ${at}`)

    const answers = await Promise.all(passwords.map((one) => here.reset(token, one)))

    const done = answers.flatMap(({ status }, at) => (status === 204 ? [at] : []))
    expect(done).toHaveLength(1)
    expect(answers.filter((answer) => codeOf(answer) === '422 link-expired')).toHaveLength(49)
    expect(await here.signIn(ada.email, passwords[done[0] ?? 0] ?? '')).toBe(200)
  })

  test('is not used up by a password that is refused, nor by GET and HEAD', async () => {
    const { here, ada, token } = await used()

    expect(codeOf(await here.reset(token, 'password'))).toBe('422 weak-password')
    expect(codeOf(await here.reset(token, ada.email))).toBe('422 weak-password')
    expect(codeOf(await here.reset(token, ''))).toBe('422 invalid-request')
    for (const method of ['GET', 'HEAD'])
      for (const path of [
        `/account/reset?token=${token}`,
        '/account/reset',
        `/api/auth/password/reset?token=${token}`,
      ])
        await here.call(method, path)
    expect((await here.reset(token)).status).toBe(204)
  })

  test('is replaced by a newer one', async () => {
    const { here, ada, token } = await used()
    const newer = await here.requestLink(ada.email)

    expect(newer).not.toBe(token)
    expect(codeOf(await here.reset(token))).toBe('422 link-expired')
    expect((await here.reset(newer)).status).toBe(204)
  })

  type Mailing = Awaited<ReturnType<typeof mailing>>
  test.each<[what: string, change: (ada: Someone, here: Mailing) => Promise<unknown>]>([
    [
      'a new password',
      ({ call, password }) =>
        call('PUT', '/api/auth/me/password', {
          current_password: password,
          new_password: 'another donkey power plant',
        }),
    ],
    [
      'a new e-mail',
      async ({ call, password }, here) => {
        const email = `${Bun.randomUUIDv7()}@example.test`
        const { body } = await call('PATCH', '/api/auth/me', { current_password: password, email })
        await here.sendMail()
        const [mail] = smtp.mailsTo(body.pending_email)
        const token = /verify#token=([\w-]{64})/.exec(mail?.text ?? '')?.[1]
        await here.call('POST', '/api/auth/email/verify', { body: { token } })
      },
    ],
    [
      'erasing the account',
      ({ call, password }) => call('DELETE', '/api/auth/me', { current_password: password }),
    ],
  ])('is invalid after %s, also if it was mailed only then', async (_, change) => {
    const { here, ada, token } = await used()
    await here.forgot(ada.email)
    await change(ada, here)
    const before = smtp.mailsTo(ada.email).length
    await here.sendMail()

    expect(codeOf(await here.reset(token))).toBe('422 link-expired')
    // The notice only.
    const later = smtp.mailsTo(ada.email).slice(before)
    expect(later.map((mail) => here.linkOf(mail))).toEqual([''])
  })

  test('that became invalid while the password was hashed changes nothing, and ends no session', async () => {
    const { here, ada, token } = await used()
    const { db } = await database()
    const { reset } = createPasswordResetRepository(db, createNoticeStatements(db, true))
    const { hash = '' } = createLinkTokens([secret]).parse(token) ?? {}
    const before = await rowsOf(ada.id)

    expect(await reset(ada.id, `${hash}x`, 'a hash')).toBe(false)
    const disabled_at = new Date().toISOString()
    await db.update(users).set({ disabled_at }).where(eq(users.id, ada.id))
    expect(await reset(ada.id, hash, 'a hash')).toBe(false)
    await db.update(users).set({ disabled_at: null }).where(eq(users.id, ada.id))

    expect(await rowsOf(ada.id)).toEqual(before)
    expect((await here.reset(token)).status).toBe(204)
  })

  test('is worth nothing after the address of the account was changed in the database', async () => {
    const { here, ada, token } = await used()
    const { db } = await database()
    const email = `${Bun.randomUUIDv7()}@example.test`
    await db.update(users).set({ email }).where(eq(users.id, ada.id))

    expect(codeOf(await here.reset(token))).toBe('422 link-expired')
  })

  test('is worth nothing for another account, and cannot be guessed or changed', async () => {
    const { here, token } = await used()
    const bob = await here.someone()
    const bobsToken = await here.requestLink(bob.email)
    const bytes = (text: string) => Buffer.from(text, 'base64url')
    const mixed = Buffer.concat([bytes(bobsToken).subarray(0, 16), bytes(token).subarray(16)])
    const bent = [...bytes(token).keys()].map((at) => {
      const copy = Buffer.from(bytes(token))
      copy[at] = (copy[at] ?? 0) ^ 1
      return copy.toString('base64url')
    })
    const before = await rowsOf(bob.id)

    for (const wrong of [
      mixed.toString('base64url'),
      ...bent,
      '',
      'x',
      `${token}A`,
      token.slice(1),
      ` ${token}`,
      `${token}=`,
      bob.token,
    ])
      expect([wrong, codeOf(await here.reset(wrong))]).toEqual([wrong, '422 link-expired'])
    expect(await rowsOf(bob.id)).toEqual(before)
    expect((await here.reset(token)).status).toBe(204)
    expect((await here.reset(bobsToken)).status).toBe(204)
  })

  test('is built from PUBLIC_URL or MAIL_RESET_URL, and never from a request', async () => {
    const here = await mailing({ MAIL_RESET_URL: 'https://app.example/#/reset?code={token}' })
    const plain = await mailing({ TRUST_PROXY: '1' })
    const [ada, bob] = [await here.someone(), await plain.someone()]
    const evil = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example',
      origin: 'https://evil.example',
    }

    await here.forgot(ada.email, evil)
    await plain.forgot(bob.email, evil)
    await here.sendMail()
    await plain.sendMail()

    const texts = [...smtp.mailsTo(ada.email), ...smtp.mailsTo(bob.email)].map(({ text }) => text)
    expect(texts).toHaveLength(2)
    for (const text of texts) expect(text).not.toContain('evil')
  })

  test('is stored as SHA-256 only, and appears in no log', async () => {
    const { here, ada, token } = await used()
    await here.forgot(ada.email)
    const { db } = await database()
    const stored = [await db.select().from(mailLinks), await db.select().from(mailMessages)]

    const secret = Buffer.from(token, 'base64url').subarray(16)
    for (const text of [token, secret.toString('base64url'), secret.toString('hex')])
      expect(JSON.stringify([stored, here.log])).not.toContain(text)
  })
})

describe('the page of a link', () => {
  const form = (members: Record<string, string>) => ({
    body: `${new URLSearchParams(members)}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

  test('sets the password without scripts, by the code of the message', async () => {
    const here = await mailing()
    const ada = await here.someone()
    const token = await here.requestLink(ada.email)
    const post = (members: Record<string, string>) =>
      here.call('POST', '/account/reset', form(members))

    const shown = await here.call('GET', '/account/reset')
    const weak = await post({ token, new_password: 'password' })
    const short = await post({ token, new_password: '' })
    const wrong = await post({ token: '"><script>', new_password: newPassword })
    const done = await post({ token: ` ${token}\n`, new_password: newPassword })
    const again = await post({ token, new_password: newPassword })

    expect(shown.text).toContain('<form method="post" action="/account/reset">')
    const policy = shown.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("form-action 'self'")
    expect(policy).toMatch(/script-src 'sha256-[\w+/=]+'(;|$)/)
    expect(weak.status).toBe(422)
    expect(weak.text).toContain('role="alert"')
    expect(weak.text).toContain(`value="${token}"`)
    expect([short.status, short.text]).toEqual([
      422,
      expect.stringContaining('The new password must have at least 1 character.'),
    ])
    expect([wrong.status, wrong.text.includes('"><script>')]).toEqual([422, false])
    expect([done.status, done.text]).toEqual([200, expect.stringContaining('was changed')])
    expect(done.text).not.toContain('<form')
    expect(again.status).toBe(422)
    expect(await here.signIn(ada.email, newPassword)).toBe(200)
  })

  test('is 415 for JSON', async () => {
    const here = await mailing()
    const body = { token: 'x', new_password: newPassword }

    expect((await here.call('POST', '/account/reset', { body })).status).toBe(415)
  })
})
