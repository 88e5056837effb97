import { afterEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { mailMessages } from '../../src/db/schema.ts'
import { at, database, pass, realTime, type Someone, service } from '../support/service.ts'
import { type Behaviour, type Smtp, startSmtp } from '../support/smtp.ts'

afterEach(realTime)

const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000]

/** A service with a server of its own, and a message that waits for it. */
const waiting = async (env: Record<string, string> = {}) => {
  const smtp = await startSmtp()
  const here = await service({ ...smtp.env, ...env })
  const ada = await here.someone()
  // What other tests have left.
  await here.sendMail()
  await here.call('POST', '/api/auth/password/forgot', { body: { email: ada.email } })
  const queued = async () => {
    const { db } = await database()
    return db.select().from(mailMessages).where(eq(mailMessages.recipient, ada.email))
  }
  const events = () => here.log.map(({ event }) => event).filter((one) => /^mail/.test(`${one}`))
  return { smtp, here, ada, queued, events }
}

const tokenIn = (smtp: Smtp, { email }: Someone) =>
  smtp.mailsTo(email).map(({ text }) => /#token=([\w-]{64})/.exec(text)?.[1])

describe('a message', () => {
  test('is deleted when it is delivered', async () => {
    const { smtp, here, ada, queued, events } = await waiting()
    expect(await queued()).toHaveLength(1)

    await here.sendMail()

    expect(smtp.mailsTo(ada.email)).toHaveLength(1)
    expect(await queued()).toEqual([])
    expect(events().at(-1)).toBe('mail sent')
    await smtp.stop()
  })

  test.each<Behaviour>(['4xx', '5xx', 'die'])(
    'is sent again after a server did %s, with the same Message-ID and the same link',
    async (behaviour) => {
      const { smtp, here, ada, queued, events } = await waiting()
      smtp.behave(behaviour)
      const [{ id } = { id: '' }] = await queued()

      await here.sendMail()
      expect(events().at(-1)).toBe('mail failed')
      expect(await queued()).toHaveLength(1)
      // Not before the pause is over.
      await here.sendMail()
      smtp.behave('accept')
      pass(14 * second)
      await here.sendMail()
      expect(await queued()).toHaveLength(1)
      pass(second)
      await here.sendMail()

      const mails = smtp.mailsTo(ada.email)
      expect(mails).toHaveLength(behaviour === 'die' ? 2 : 1)
      expect(new Set(mails.map(({ messageId }) => messageId))).toEqual(
        new Set([`<${id}@tasks.example>`]),
      )
      expect(new Set(tokenIn(smtp, ada)).size).toBe(1)
      expect(await queued()).toEqual([])
      await smtp.stop()
    },
  )

  test('that is sent again does not renew a link that was used', async () => {
    const { smtp, here, ada } = await waiting()
    smtp.behave('die')
    await here.sendMail()
    smtp.behave('accept')
    const [token] = tokenIn(smtp, ada)
    const body = { token, new_password: 'wrong donkey power plant' }
    const used = await here.call('POST', '/api/auth/password/reset', { body })
    pass(minute)

    await here.sendMail()

    expect(used.status).toBe(204)
    expect(tokenIn(smtp, ada)).toEqual([token, undefined])
    expect((await here.call('POST', '/api/auth/password/reset', { body })).status).toBe(422)
    await smtp.stop()
  })

  test('survives a server that is down for an hour, while no request waits or fails', async () => {
    const { smtp, here, ada, queued } = await waiting()
    await smtp.stop()

    for (let waited = 0; waited < hour; waited += 5 * minute) {
      await here.sendMail()
      pass(5 * minute)
    }
    expect(await queued()).toHaveLength(1)
    expect((await ada.call('GET', '/api/tasks')).status).toBe(200)

    const restarted = await startSmtp()
    const next = await service(restarted.env)
    pass(hour)
    await next.sendMail()
    expect(restarted.mailsTo(ada.email)).toHaveLength(1)
    expect(await queued()).toEqual([])
    await restarted.stop()
  })

  test('whose attempts fail for a day is abandoned, with a log line', async () => {
    const { smtp, here, queued, events } = await waiting()
    smtp.behave('5xx')

    let attempts = 0
    for (let waited = 0; waited < day; waited += 30 * minute) {
      await here.sendMail()
      attempts = (await queued())[0]?.attempts ?? attempts
      pass(30 * minute)
    }
    expect(await queued()).toHaveLength(1)
    pass(hour)
    await here.sendMail()

    // Hourly at the end.
    expect(attempts).toBeWithin(20, 30)
    expect(await queued()).toEqual([])
    expect(events()).toContain('mail abandoned')
    // Messages of other tests may be among them.
    expect(here.log).toContainEqual(
      expect.objectContaining({
        event: 'mail abandoned',
        level: 'error',
        template: 'reset-password',
        code: 'EENVELOPE 550',
      }),
    )
    await smtp.stop()
  })

  test('whose instance died is sent by another one when the lease ends', async () => {
    const { smtp, here, ada, queued } = await waiting()
    const { createOutbox } = await import('../../src/mail/outbox.ts')
    const { db } = await database()
    pass(second)
    const claimed = await createOutbox(db).claim()
    expect(claimed.map(({ recipient }) => recipient)).toContain(ada.email)

    pass(80 * second)
    await here.sendMail()
    expect(smtp.mailsTo(ada.email)).toEqual([])
    pass(10 * second)
    await here.sendMail()

    expect(smtp.mailsTo(ada.email)).toHaveLength(1)
    expect(await queued()).toEqual([])
    await smtp.stop()
  })

  test('of 60 is delivered once by three instances', async () => {
    const { smtp, here } = await waiting({ BCRYPT_QUEUE_MAX: '100' })
    const others = await Promise.all([1, 2].map(() => service(smtp.env)))
    const people = await Promise.all(Array.from({ length: 60 }, () => here.someone()))
    await Promise.all(
      people.map(({ email }) =>
        here.call('POST', '/api/auth/password/forgot', { body: { email } }),
      ),
    )

    await Promise.all([here, ...others].map(({ sendMail }) => sendMail()))

    const counts = people.map(({ email }) => smtp.mailsTo(email).length)
    expect(counts).toEqual(people.map(() => 1))
    await smtp.stop()
  })

  test.each([
    'a,b@example.test',
    'a;b@example.test',
    '<a>@example.test',
    'a@b>\u0000@example.test',
    '"a"@example.test',
    'a(b)@example.test',
    'a\\b@example.test',
    'a:b@example.test',
    '=?utf-8?q?x?=@example.test',
    'a\u0085bcc:x@example.test',
  ])('to %j adds no header and no recipient', async (suffix) => {
    const smtp = await startSmtp()
    const here = await service(smtp.env)
    await here.sendMail()
    const email = suffix.replace('@example.test', `${Bun.randomUUIDv7()}@example.test`)
    const body = { email, password: 'correct horse battery', name: 'x\r\nBcc: evil@example.test' }
    await here.call('POST', '/api/auth/register', { body })
    await here.call('POST', '/api/auth/password/forgot', { body: { email } })

    await here.sendMail()

    // Only the encoded word is an address that a server accepts.
    expect(smtp.received).toHaveLength(suffix.startsWith('=?') ? 1 : 0)
    for (const { to, raw } of smtp.received) {
      const [head = ''] = raw.split('\r\n\r\n')
      expect(to).toHaveLength(1)
      expect(head).not.toMatch(/^(bcc|cc):/im)
      expect(head.match(/^To:/gm)).toHaveLength(1)
      expect(raw).not.toContain('evil')
    }
    await smtp.stop()
  })
})

test('a new password and an erased account cause one notice each', async () => {
  const smtp = await startSmtp()
  const here = await service(smtp.env)
  const { call, email, password } = await here.someone()
  const new_password = 'wrong donkey power plant'

  await call('PUT', '/api/auth/me/password', { current_password: password, new_password })
  await call('DELETE', '/api/auth/me', { current_password: new_password })
  await here.sendMail()

  const subjects = smtp.mailsTo(email).map(({ raw }) => /^Subject: (.*)\r$/m.exec(raw)?.[1])
  expect(subjects.sort()).toEqual(['Your account was erased', 'Your password was changed'])
  await smtp.stop()
})

test('a reused refresh token causes one notice', async () => {
  const smtp = await startSmtp()
  const here = await service(smtp.env)
  const { email, password } = await here.someone()
  const { body } = await here.call('POST', '/api/auth/login', { body: { email, password } })
  const refresh = async (refresh_token: string) =>
    (await here.call('POST', '/api/auth/refresh', { body: { refresh_token } })).body.refresh_token
  at(Date.now())
  await refresh(await refresh(body.refresh_token))
  pass(2 * minute)

  await refresh(body.refresh_token)
  await refresh(body.refresh_token)
  await here.sendMail()

  expect(smtp.mailsTo(email)).toHaveLength(1)
  expect(smtp.mailsTo(email)[0]?.text).toContain('A session was ended')
  await smtp.stop()
})
