import type { LinkConfig, MailConfig } from '../config/mail.ts'
import type { Db } from '../db/database.ts'
import type { Log } from '../log.ts'
import { createComposer } from './compose.ts'
import type { LinkTokens } from './link-tokens.ts'
import type { MailLinks } from './links.ts'
import { createOutbox } from './outbox.ts'
import { createMailSender } from './sender.ts'
import { createMailTransport } from './transport.ts'

type Needs = {
  config: { mail: MailConfig; links: LinkConfig }
  db: Db
  links: MailLinks
  tokens: LinkTokens
  log: Log
}

/** The sender of one process, with what it needs. */
export const createMail = ({ config, db, links, tokens, log }: Needs) => {
  const { from, transport } = config.mail
  return createMailSender({
    outbox: createOutbox(db),
    compose: createComposer({ from, linkConfig: config.links, links, tokens }),
    transport: createMailTransport(transport, log),
    log,
  })
}
