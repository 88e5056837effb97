import { now } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runWrite, violatesConstraint } from '../../db/errors.ts'
import { users } from '../../db/schema.ts'
import type { LinkTokens } from '../../mail/link-tokens.ts'
import { createMailLinks, invitationSeconds } from '../../mail/links.ts'
import { insertMessage, newMessage } from '../../mail/outbox.ts'
import { insertChangeCounter } from '../sign-in/repository.ts'
import { isStoredOtherwise } from './earlier-spelling.ts'

type Draft = { email: string; name: string | null; hash: string; isMailed: boolean }
type Invited = { id: string; email: string }

/** Creates an account whose password is set by a link. Undefined if the address is taken. */
export const createInvitedAccount = async (
  db: Db,
  { email, name, hash: password_hash, isMailed }: Draft,
): Promise<Invited | undefined> => {
  if (await isStoredOtherwise(db, email)) return undefined
  const id = Bun.randomUUIDv7()
  const draft = { id, email, name, password_hash, created_at: now() }
  const account = db
    .$with('account')
    .as(db.insert(users).values(draft).returning({ id: users.id, email: users.email }))
  const counter = insertChangeCounter(db, account, account.id)
  const message = isMailed
    ? [insertMessage(db, account, { userId: id, template: 'invitation' })]
    : []
  try {
    await runWrite(() =>
      db
        .with(account, counter, ...message)
        .select()
        .from(account),
    )
    return { id, email }
  } catch (error) {
    if (violatesConstraint(error, 'users_email')) return undefined
    throw error
  }
}

/** Makes a link for an invited account, and returns its token. */
export const createInvitationLink = async (
  db: Db,
  { id, email }: Invited,
  tokens: LinkTokens,
): Promise<string> => {
  const message = { ...newMessage(id, 'invitation', email), attempts: 0 }
  const hash = tokens.hashFor(message.id)
  const target = { kind: 'reset' as const, of: 'any' as const, hash, seconds: invitationSeconds }
  const issued = await createMailLinks(db).issue(message, target)
  if (issued === undefined) throw new Error('the account was removed meanwhile')
  return tokens.format(id, message.id)
}
