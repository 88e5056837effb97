import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { MailTransportConfig, SmtpServer } from '../config/mail.ts'
import type { Log } from '../log.ts'

/** A message, ready to be sent. */
export type Mail = {
  /** Without angle brackets. The same for every attempt. */
  messageId: string
  from: string
  to: string
  subject: string
  text: string
  html: string
}

export type MailTransport = {
  send(mail: Mail): Promise<void>
  /** Checks greeting, TLS and authentication; throws the reason. */
  verify(): Promise<void>
}

/** Milliseconds: to connect, for the greeting, and between two packets. */
const [connectMsMax, greetingMsMax, idleMsMax] = [10_000, 10_000, 15_000]

/** Opens nothing before the first message. */
export const createMailTransport = (config: MailTransportConfig, log: Log): MailTransport =>
  config.kind === 'smtp' ? createSmtpTransport(config) : createFileTransport(config.folder, log)

const createSmtpTransport = (server: SmtpServer): MailTransport => {
  const open = async () => {
    // Loaded at the first message: most processes send none for a while.
    const { createTransport } = await import('nodemailer')
    return createTransport({
      host: server.host,
      port: server.port,
      secure: server.implicitTls,
      requireTLS: server.requireTls && !server.implicitTls,
      ...(server.user !== undefined && {
        auth: { user: server.user, pass: server.password ?? '' },
      }),
      connectionTimeout: connectMsMax,
      greetingTimeout: greetingMsMax,
      socketTimeout: idleMsMax,
      ...withoutAccess,
    })
  }
  return {
    send: async (mail) => void (await (await open()).sendMail(toNodemailer(mail))),
    verify: async () => void (await (await open()).verify()),
  }
}

/** For development without a mail server: one file per message, and a log line with its name. */
const createFileTransport = (folder: string, log: Log): MailTransport => ({
  send: async (mail) => {
    const { createTransport } = await import('nodemailer')
    const composer = createTransport({ streamTransport: true, buffer: true, ...withoutAccess })
    const { message } = await composer.sendMail(toNodemailer(mail))
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, `${mail.messageId.replace(/@.*/, '')}.eml`)
    const file = await open(`${path}.part`, 'w', 0o600)
    await file.writeFile(message as Buffer)
    await file.close()
    await rename(`${path}.part`, path)
    log.info('mail written', { file: path })
  },
  verify: async () => {},
})

/** A message can neither read files nor fetch URLs. */
const withoutAccess = { disableFileAccess: true, disableUrlAccess: true }

/** The recipient is an address, and never parsed as a list. */
const toNodemailer = ({ messageId, to, from, subject, text, html }: Mail) => ({
  messageId: `<${messageId}>`,
  from,
  to: { name: '', address: to },
  subject,
  text,
  html,
  // RFC 3834 §5: no automatic response.
  headers: { 'Auto-Submitted': 'auto-generated' },
})
