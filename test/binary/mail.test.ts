import { afterAll, describe, expect, test } from 'bun:test'
import { startSmtp } from '../support/smtp.ts'
import { cleanUp, embedded, kinds, onPostgres, patience, start } from './process.ts'

afterAll(cleanUp)

/** Polls until the server has this many messages. */
const received = async ({ received }: { received: unknown[] }, count: number) => {
  const deadline = performance.now() + 120_000
  while (received.length < count && performance.now() < deadline) await Bun.sleep(20)
  return received.length
}

describe.each([...kinds])('on %s', (_, database) => {
  test('a message is stored before the response, and survives a kill before it is sent', async () => {
    const [down, up] = [await startSmtp(), await startSmtp()]
    await down.stop()
    const settings = { ...(await database()), ...down.env }
    const killed = await start(settings)
    const people = [await killed.someone(), await killed.someone()]
    for (const { email } of people) {
      const asked = await killed.call('POST', '/api/auth/password/forgot', { body: { email } })
      expect(asked.status).toBe(202)
    }
    killed.child.kill('SIGKILL')
    await killed.child.exited

    // At once, unless the first process had claimed one: then when its lease of 90 seconds ends.
    const next = await start({ ...settings, ...up.env })
    expect(await received(up, 2)).toBe(2)
    const tokens = people.map(
      ({ email }) => /#token=([\w-]{64})/.exec(up.mailsTo(email).at(-1)?.text ?? '')?.[1],
    )
    for (const token of tokens) {
      const body = { token, new_password: 'wrong donkey power plant' }
      const reset = await next.call('POST', '/api/auth/password/reset', { body })
      expect(reset.status).toBe(204)
    }
    expect(await next.stop()).toBe(0)
    await up.stop()
  }, 180_000)
})

test.skipIf(process.env.TEST_DATABASE_URL === undefined)(
  'three processes deliver each message once',
  async () => {
    const smtp = await startSmtp()
    const settings = { ...(await onPostgres()), ...smtp.env, LOGIN_ATTEMPTS_PER_ADDRESS: '1000' }
    const first = await start(settings)
    const others = await Promise.all([start(settings), start(settings)])
    const people = []
    for (let at = 0; at < 30; at++) people.push(await first.someone())
    await Promise.all(
      people.map(({ email }, at) =>
        [first, ...others][at % 3]?.call('POST', '/api/auth/password/forgot', { body: { email } }),
      ),
    )

    expect(await received(smtp, 30)).toBe(30)
    // Two more polls of each.
    await Bun.sleep(4500)
    expect(people.map(({ email }) => smtp.mailsTo(email).length)).toEqual(people.map(() => 1))
    for (const one of [first, ...others]) expect(await one.stop()).toBe(0)
    await smtp.stop()
  },
  patience,
)

test(
  'the embedded database without a mail server writes messages to files',
  async () => {
    const settings = await embedded()
    const service = await start(settings)
    const { email } = await service.someone()
    await service.call('POST', '/api/auth/password/forgot', { body: { email } })

    const { file } = await service.logged('mail written')
    const text = await Bun.file(String(file)).text()

    expect(String(file)).toStartWith(`${settings.DATA_DIR}/outbox/`)
    expect(text).toContain(`To: ${email}`)
    expect(await service.stop()).toBe(0)
  },
  patience,
)
