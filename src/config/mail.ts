import { join } from 'node:path'
import type { DatabaseConfig } from './database.ts'
import type { EnvReader } from './environment.ts'
import { isOrigin } from './network.ts'

export type SmtpServer = {
  kind: 'smtp'
  host: string
  port: number
  /** TLS from the first byte (`smtps://`); otherwise STARTTLS. */
  implicitTls: boolean
  /** False for a loopback host only. */
  requireTls: boolean
  user: string | undefined
  password: string | undefined
}

/** Where messages go: to a server, or, for development, to files. */
export type MailTransportConfig = SmtpServer | { kind: 'files'; folder: string }

/** Where the links of messages lead. */
export const readLinkConfig = (read: EnvReader, port: number) => {
  const publicUrl = read.text('PUBLIC_URL')
  if (publicUrl !== undefined && !isOrigin(publicUrl))
    read.problem('PUBLIC_URL', 'is not an origin without a path, such as https://tasks.example.com')
  const origin = publicUrl ?? `http://localhost:${port}`
  return {
    publicUrl: origin,
    isPublicUrlSet: publicUrl !== undefined,
    resetUrl: readLinkUrl(read, 'MAIL_RESET_URL') ?? `${origin}/account/reset#token={token}`,
    verifyUrl: readLinkUrl(read, 'MAIL_VERIFY_URL') ?? `${origin}/account/verify#token={token}`,
  }
}

export type LinkConfig = ReturnType<typeof readLinkConfig>

/** Undefined without a transport: routes that need mail are 503. */
export const readMailConfig = (read: EnvReader, database: DatabaseConfig, dataDir: string) => {
  const url = read.text('MAIL_URL')
  const from = read.optional('MAIL_FROM', senderPattern, senderForm)
  const verification = read.choice('EMAIL_VERIFICATION', 'off', ['off', 'required'])
  const server = url === undefined ? undefined : parseMailUrl(url)
  if (url !== undefined && server === undefined) read.problem('MAIL_URL', `is not ${mailUrlForm}`)
  if (url !== undefined)
    for (const variable of ['MAIL_FROM', 'PUBLIC_URL'])
      if (read.text(variable) === undefined)
        read.problem(variable, 'is required with MAIL_URL; set it, or unset MAIL_URL')

  const files =
    database.kind === 'embedded'
      ? { kind: 'files' as const, folder: join(dataDir, 'outbox') }
      : undefined
  const transport: MailTransportConfig | undefined = url === undefined ? files : server
  if (verification === 'required' && url === undefined && files === undefined)
    read.problem('EMAIL_VERIFICATION', 'requires MAIL_URL; set it, or unset EMAIL_VERIFICATION')
  return (
    transport && {
      transport,
      from: from ?? 'Taskwarden <taskwarden@localhost>',
      isVerificationRequired: verification === 'required',
    }
  )
}

export type MailConfig = NonNullable<ReturnType<typeof readMailConfig>>

/** An address, or a name and an address. No character ends the header or adds a recipient. */
const senderPattern =
  /^([^<>"@,;:\p{Cc}]{1,100} <[^\s<>"@,;:\p{Cc}]+@[^\s<>"@,;:\p{Cc}]+>|[^\s<>"@,;:\p{Cc}]+@[^\s<>"@,;:\p{Cc}]+)$/u
const senderForm = 'an address, or a name and an address: Taskwarden <no-reply@example.com>'
const mailUrlForm =
  'smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465, with special characters ' +
  'percent-encoded and without a path'

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/

const parseMailUrl = (text: string): SmtpServer | undefined => {
  const url = URL.parse(text)
  if (url === null || !/^smtps?:$/.test(url.protocol) || url.hostname === '') return undefined
  if (/[/?#]./.test(text.replace(/^smtps?:\/\//, '').replace(/\/$/, ''))) return undefined
  const implicitTls = url.protocol === 'smtps:'
  try {
    return {
      kind: 'smtp',
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (implicitTls ? 465 : 587) : Number(url.port),
      implicitTls,
      requireTls: !loopback.test(url.hostname),
      user: decodeURIComponent(url.username) || undefined,
      password: decodeURIComponent(url.password) || undefined,
    }
  } catch {
    return undefined
  }
}

/** The URL of a front end's page, with `{token}` where the token of the mail goes. */
const readLinkUrl = (read: EnvReader, variable: string): string | undefined => {
  const text = read.text(variable)
  if (text === undefined) return undefined
  const isUrl = /^https?:\/\//.test(text) && URL.canParse(text.replace('{token}', 'x'))
  if (isUrl && text.split('{token}').length === 2) return text
  read.problem(variable, 'is not an http or https URL that contains {token} once')
  return undefined
}
