import type { LinkConfig, MailConfig } from '../config/mail.ts'
import type { Db } from '../db/database.ts'
import type { Log } from '../log.ts'
import type { RateLimitCounters } from '../rate-limit/store.ts'
import { createComposer } from './compose.ts'
import type { LinkTokens } from './link-tokens.ts'
import type { MailLinks } from './links.ts'
import { createOutbox } from './outbox.ts'
import { createReminderComposer } from './reminders.ts'
import { createMailSender } from './sender.ts'
import { createMailTransport } from './transport.ts'

type Needs = {
  config: { mail: MailConfig; links: LinkConfig }
  db: Db
  links: MailLinks
  tokens: LinkTokens
  rateLimitStore: RateLimitCounters
  log: Log
}

/** The sender of one process, with what it needs. */
export const createMail = ({ config, db, links, tokens, rateLimitStore, log }: Needs) => {
  const { from, transport } = config.mail
  return createMailSender({
    outbox: createOutbox(db),
    compose: createComposer({
      from,
      linkConfig: config.links,
      links,
      tokens,
      composeReminders: createReminderComposer({ db, rateLimitStore }),
    }),
    transport: createMailTransport(transport, log),
    log,
  })
}
