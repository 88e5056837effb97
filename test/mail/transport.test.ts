import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SmtpServer } from '../../src/config/mail.ts'
import { createLog } from '../../src/log.ts'
import { createMailTransport } from '../../src/mail/transport.ts'
import { type Smtp, startSmtp } from '../support/smtp.ts'

const mail = {
  messageId: '1@tasks.example',
  from: 'Taskwarden <no-reply@tasks.example>',
  to: 'ada@example.test',
  subject: 'Subject',
  text: 'Text',
  html: '<p>Text</p>',
}
const settings = (more: Partial<SmtpServer>): SmtpServer => ({
  kind: 'smtp',
  host: '127.0.0.1',
  port: 1,
  implicitTls: false,
  requireTls: false,
  user: undefined,
  password: undefined,
  ...more,
})
const log = createLog(() => {}, 'silent')
const codeOf = async (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error) => error.code ?? error.message,
  )

let folder: string
let tls: { key: string; cert: string }
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskwarden-'))
  const [key, crt] = [join(folder, 'key'), join(folder, 'crt')]
  const request = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt']
  const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  await Bun.spawn(
    [
      ...[...request, 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...[...name, '-keyout', key, '-out', crt],
    ],
    { stdout: 'ignore', stderr: 'ignore' },
  ).exited
  tls = { key: await Bun.file(key).text(), cert: await Bun.file(crt).text() }
})
afterAll(() => rm(folder, { recursive: true }))

const withServer = async (smtp: Smtp, work: (smtp: Smtp) => Promise<void>) => {
  try {
    await work(smtp)
  } finally {
    await smtp.stop()
  }
}

describe('TLS', () => {
  test('is required unless the host is a loopback address', async () => {
    await withServer(await startSmtp(), async ({ port, received }) => {
      const plain = createMailTransport(settings({ port }), log)
      const strict = createMailTransport(settings({ port, requireTls: true }), log)

      expect(await codeOf(strict.send(mail))).toBe('ETLS')
      expect(await codeOf(strict.verify())).toBe('ETLS')
      expect(received).toEqual([])
      expect(await codeOf(plain.send(mail))).toBe('done')
      expect(received).toHaveLength(1)
    })
  })

  test('with a certificate that is not trusted is refused, by STARTTLS and from the first byte', async () => {
    for (const secure of [false, true])
      await withServer(
        await startSmtp({ secure, ...tls, disabledCommands: ['AUTH'] }),
        async ({ port, received }) => {
          const server = settings({ port, requireTls: true, implicitTls: secure })
          expect(await codeOf(createMailTransport(server, log).send(mail))).toMatch(
            /ETLS|ESOCKET|DEPTH_ZERO_SELF_SIGNED_CERT/,
          )
          expect(received).toEqual([])
        },
      )
  })

  test('with a trusted certificate delivers, by STARTTLS and from the first byte', async () => {
    for (const secure of [false, true])
      await withServer(
        await startSmtp({ secure, ...tls, disabledCommands: ['AUTH'] }),
        async ({ port, received }) => {
          const server = settings({ port, requireTls: true, implicitTls: secure })
          const script = `
            import { createMailTransport } from './src/mail/transport.ts'
            await createMailTransport(${JSON.stringify(server)}, {}).send(${JSON.stringify(mail)})`
          const child = Bun.spawn([process.execPath, '-e', script], {
            env: { PATH: process.env.PATH ?? '', NODE_EXTRA_CA_CERTS: join(folder, 'crt') },
            stdout: 'ignore',
            stderr: 'pipe',
          })
          expect([await child.exited, await child.stderr.text()]).toEqual([0, ''])
          expect(received.map(({ to }) => to)).toEqual([['ada@example.test']])
        },
      )
  })
})

test('user and password are sent, and a wrong password is an error', async () => {
  const smtp = await startSmtp({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) =>
      username === 'ada' && password === 'p@ss word'
        ? done(null, { user: username })
        : done(new Error('wrong')),
  })
  await withServer(smtp, async ({ port, received }) => {
    const right = settings({ port, user: 'ada', password: 'p@ss word' })
    const wrong = settings({ port, user: 'ada', password: 'x' })

    expect(await codeOf(createMailTransport(right, log).verify())).toBe('done')
    expect(await codeOf(createMailTransport(right, log).send(mail))).toBe('done')
    expect(await codeOf(createMailTransport(wrong, log).verify())).toBe('EAUTH')
    expect(await codeOf(createMailTransport(wrong, log).send(mail))).toBe('EAUTH')
    expect(received).toHaveLength(1)
  })
})

test('no message reads a file or fetches a URL', async () => {
  await withServer(await startSmtp(), async ({ port, received }) => {
    const odd = { ...mail, text: { path: '/etc/hostname' }, html: { href: 'http://127.0.0.1:1/' } }
    const transport = createMailTransport(settings({ port }), log)

    expect(await codeOf(transport.send(odd as never))).toMatch(/EFILEACCESS|ESTREAM/)
    expect(received).toEqual([])
  })
})

test('a server that accepts a connection and says nothing is given up', async () => {
  const server: Server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0

  const code = await codeOf(createMailTransport(settings({ port }), log).send(mail))

  expect(code).toBe('ETIMEDOUT')
  server.close()
}, 60_000)
