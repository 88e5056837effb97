import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A message that the server received. Addresses are of the envelope. */
type Received = { from: string; to: string[]; raw: string; messageId: string }

/**
 * What the server does with the next messages: `4xx` and `5xx` refuse the recipient, `hang` never answers DATA, and
 * `die` receives the whole message and then closes the connection without an answer.
 */
export type Behaviour = 'accept' | '4xx' | '5xx' | 'hang' | 'die'

const failure = (responseCode: number) => Object.assign(new Error('refused'), { responseCode })

/** A real SMTP server on a free port of the loopback interface. */
export const startSmtp = async (options: SMTPServerOptions = {}) => {
  const received: Received[] = []
  let behaviour: Behaviour = 'accept'
  const sockets = new Set<{ destroy: () => void }>()

  const server = new SMTPServer({
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    logger: false,
    ...options,
    onRcptTo: (_address, _session, done) => {
      if (behaviour === '4xx') return done(failure(451))
      return behaviour === '5xx' ? done(failure(550)) : done()
    },
    onData: (stream, session, done) => {
      const parts: Buffer[] = []
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('end', () => {
        if (behaviour === 'hang') return
        const raw = Buffer.concat(parts).toString()
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw,
          messageId: /^Message-ID: (.*)$/im.exec(raw)?.[1]?.trim() ?? '',
        })
        if (behaviour === 'die') for (const socket of sockets) socket.destroy()
        else done()
      })
    },
  })
  server.on('error', () => {})
  server.server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo

  return {
    port,
    received,
    /** Settings of a service that sends to this server. */
    env: {
      MAIL_URL: `smtp://127.0.0.1:${port}`,
      MAIL_FROM: 'Taskwarden <no-reply@tasks.example>',
      PUBLIC_URL: 'https://tasks.example',
    },
    behave: (next: Behaviour) => {
      behaviour = next
    },
    /** The messages for an address, as text without quoted-printable. */
    mailsTo: (address: string) =>
      received
        .filter(({ to }) => to.includes(address))
        .map((one) => ({ ...one, text: decodeText(one.raw) })),
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(resolve))
    },
  }
}

export type Smtp = Awaited<ReturnType<typeof startSmtp>>

/** Removes the soft line breaks and escapes of quoted-printable (RFC 2045 §6.7). */
const decodeText = (raw: string): string =>
  raw
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
