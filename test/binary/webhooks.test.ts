import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { startReceiver, verified } from '../support/receiver.ts'
import { cleanUp, embedded, folder, kinds, onPostgres, patience, start } from './process.ts'

afterAll(cleanUp)

const allowed = { WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' }

describe.each([...kinds])('on %s', (_, database) => {
  test('a change is delivered at once, and after a kill by the next process, in order', async () => {
    const receiver = startReceiver()
    const settings = { ...(await database()), ...allowed }
    const first = await start(settings)
    const { token } = await first.someone()
    const { body } = await first.call('POST', '/api/webhooks', {
      token,
      body: { url: receiver.url },
    })
    const add = (here: typeof first, title: string) =>
      here.call('POST', '/api/tasks', { token, body: { title } })
    await add(first, 'a')
    await receiver.until(1)
    verified(receiver.all[0]!, body.secret)

    // Killed between the delivery and its bookkeeping.
    receiver.behave(() => new Promise(() => {}))
    await add(first, 'b')
    await add(first, 'c')
    await receiver.until(2)
    await first.stop('SIGKILL')
    receiver.behave(() => new Response())
    const next = await start(settings)
    const startedAt = performance.now()
    await receiver.until(4)
    expect(receiver.titles()).toEqual(['a', 'b', 'b', 'c'])
    expect(performance.now() - startedAt).toBeLessThan(35_000)
    expect(await next.stop()).toBe(0)
    await receiver.stop()
  }, 120_000)
})

test.skipIf(process.env.TEST_DATABASE_URL === undefined)(
  'a process that knew of no webhook takes over within 30 seconds',
  async () => {
    const receiver = startReceiver()
    const settings = { ...(await onPostgres()), ...allowed }
    const [first, standby] = [await start(settings), await start(settings)]
    // If its pauses doubled without a webhook, the next poll would be a minute away now.
    await Bun.sleep(50_000)
    const { token } = await first.someone()
    await first.call('POST', '/api/webhooks', { token, body: { url: receiver.url } })
    receiver.behave(() => new Promise(() => {}))
    await first.call('POST', '/api/tasks', { token, body: { title: 'a' } })
    await receiver.until(1)
    await first.stop('SIGKILL')
    const killedAt = performance.now()
    receiver.behave(() => new Response())
    await receiver.until(2)
    expect(performance.now() - killedAt).toBeLessThan(30_000)
    expect(receiver.all[1]?.headers['webhook-id']).toBe(
      receiver.all[0]?.headers['webhook-id'] ?? '',
    )
    expect(await standby.stop()).toBe(0)
    await receiver.stop()
  },
  180_000,
)

/** A certificate for `localhost`, signed by itself. */
const certificate = async () => {
  const path = await folder()
  const [key, cert] = [join(path, 'key.pem'), join(path, 'cert.pem')]
  const command = [
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...[
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
    ],
    ...['-keyout', key, '-out', cert],
  ]
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  if ((await child.exited) !== 0) throw new Error(await child.stderr.text())
  return { key, cert }
}

test.skipIf(Bun.which('openssl') === null)(
  'the certificate of a receiver is verified by the name in its URL',
  async () => {
    const { key, cert } = await certificate()
    const names: string[] = []
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls: { key: Bun.file(key), cert: Bun.file(cert) },
      fetch: ({ headers }) => {
        names.push(headers.get('host') ?? '')
        return new Response()
      },
    })
    const result = async (env: Record<string, string>, host: string) => {
      const here = await start({ ...(await embedded()), ...env })
      const { token } = await here.someone()
      const url = `https://${host}:${server.port}/`
      const { body } = await here.call('POST', '/api/webhooks', { token, body: { url } })
      const tested = await here.call('POST', `/api/webhooks/${body.id}/test`, { token })
      await here.stop()
      return tested.body
    }

    expect(await result({ NODE_EXTRA_CA_CERTS: cert }, 'localhost')).toEqual({
      status: 200,
      ok: true,
    })
    expect(names).toEqual([`localhost:${server.port}`])
    // The certificate is not for the address, and without its CA for nothing.
    expect(await result({ NODE_EXTRA_CA_CERTS: cert }, '127.0.0.1')).toEqual({
      status: null,
      ok: false,
    })
    expect(await result({}, 'localhost')).toEqual({ status: null, ok: false })
    expect(names).toHaveLength(1)
    await server.stop(true)
  },
  patience,
)

test.skipIf(process.env.TEST_DATABASE_URL === undefined)(
  'no address of the operator’s network is connected to, whatever the URL looks like',
  async () => {
    const connections: string[] = []
    const listener = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: () => void connections.push('connected'), data: () => {} },
    })
    const here = await start(await onPostgres())
    const { token } = await here.someone()
    const { port } = listener
    for (const host of ['localhost', 'localhost.', 'LOCALHOST', 'ip6-localhost', 'foo.localhost']) {
      const url = `https://${host}:${port}/`
      const { status, body } = await here.call('POST', '/api/webhooks', { token, body: { url } })
      expect([host, status]).toEqual([host, 201])
      const tested = await here.call('POST', `/api/webhooks/${body.id}/test`, { token })
      expect([host, tested.body]).toEqual([host, { status: null, ok: false }])
    }
    for (const url of [
      `https://127.0.0.1:${port}/`,
      `https://2130706433:${port}/`,
      `https://0x7f.1:${port}/`,
      `https://[::ffff:127.0.0.1]:${port}/`,
      `https://example.com@127.0.0.1:${port}/`,
      `http://localhost:${port}/`,
    ]) {
      const { status } = await here.call('POST', '/api/webhooks', { token, body: { url } })
      expect([url, status]).toEqual([url, 422])
    }
    expect(connections).toEqual([])
    expect(await here.stop()).toBe(0)
    listener.stop(true)
  },
  patience,
)
