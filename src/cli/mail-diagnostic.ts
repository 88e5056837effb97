import type { Config } from '../config/config.ts'
import { createLog } from '../log.ts'
import { createMailTransport } from '../mail/transport.ts'
import type { Diagnostic } from './diagnostics.ts'

/** What to do, by the code of the mail library. */
const advice: Record<string, string> = {
  EAUTH:
    'the server refuses user or password: check both in MAIL_URL, with special characters percent-encoded',
  ETLS: 'the server offers no TLS with a valid certificate: use smtps://, or a server that supports STARTTLS',
  EDNS: 'the host does not exist: check it in MAIL_URL',
  ETIMEDOUT:
    'the server does not respond: check host, port and firewall; many platforms block port 25',
  ESOCKET:
    'no server listens there, or its certificate is not valid: check host and port in MAIL_URL',
  ECONNECTION: 'no server listens there: check host and port in MAIL_URL',
}

/** Whether the mail server answers with a greeting, TLS and a successful authentication. It sends nothing. */
export const diagnoseMail = async ({ mail }: Config): Promise<Diagnostic> => {
  const subject = 'mail'
  if (mail === undefined)
    return {
      level: 'note',
      subject,
      message:
        'is off: users cannot reset a forgotten password; set MAIL_URL, MAIL_FROM and PUBLIC_URL',
    }
  if (mail.transport.kind === 'files')
    return {
      level: 'note',
      subject,
      message: `messages are written to ${mail.transport.folder}; set MAIL_URL to send them`,
    }
  try {
    await createMailTransport(
      mail.transport,
      createLog(() => {}, 'silent'),
    ).verify()
    return { level: 'ok', subject, message: 'greeting, TLS and authentication succeed' }
  } catch (error) {
    const { code = 'a bug' } = error as { code?: string }
    const why = advice[code] ?? 'the server refuses the connection'
    return { level: 'wrong', subject, message: `messages wait: ${why} (${code})` }
  }
}
