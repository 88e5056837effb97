import { sql } from 'drizzle-orm'
import { addSeconds, now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { violatesConstraint } from '../db/errors.ts'
import { arrayLiteral } from '../db/params.ts'
import { webhooks } from '../db/schema.ts'
import type { Principal } from '../db/user-scope.ts'
import { type NewWebhook, type Webhook, type WebhookPatch, webhooksMax } from './schema.ts'
import { createWebhookSecret } from './signature.ts'
import { createReads, createWrites, type ownColumns } from './statements.ts'

/** How long a replaced secret signs too. */
const previousSecretSeconds = 86_400

/**
 * The webhooks of a principal. Each method is one statement that checks the session. `undefined`: it has ended; `null`:
 * the user has no such webhook.
 */
export const createWebhookRepository = (db: Db) => (principal: Principal) => {
  const { insert, update, remove } = createWrites(db, principal)
  const { select, receiver } = createReads(db, principal)

  return {
    /** With its secret, which no other method returns; `null` if the user has as many as permitted. */
    async add(row: NewWebhook): Promise<(Webhook & { secret: string }) | null | undefined> {
      const secret = createWebhookSecret()
      for (let attempt = 1; ; attempt++)
        try {
          const created = await insert(row, secret)
          return created && { ...toWebhook({ ...created, pending_since: null }), secret }
        } catch (error) {
          // Another webhook was created at the same time.
          if (attempt > webhooksMax || !violatesConstraint(error, 'webhooks_slot')) throw error
        }
    },

    /** Oldest first. */
    async list(): Promise<Webhook[] | undefined> {
      return (await select())?.map(toWebhook)
    },

    async find(id: string): Promise<Webhook | null | undefined> {
      const found = await select(id)
      return found && (found[0] === undefined ? null : toWebhook(found[0]))
    },

    /** The URL and the secrets, to send a test. */
    findReceiver: receiver,

    async change(id: string, patch: WebhookPatch): Promise<Webhook | null | undefined> {
      if (Object.keys(patch).length === 0) return this.find(id)
      const restarts = patch.enabled === true || patch.url !== undefined
      const { events } = patch
      const changed = await update(id, {
        ...patch,
        ...(events && { events: sql`${arrayLiteral(events)}::text[]` }),
        ...(patch.enabled !== undefined && { disabled_reason: null }),
        ...(restarts && { attempts: 0, next_attempt_at: now() }),
      })
      return changed && toWebhook(changed)
    },

    async rotateSecret(id: string): Promise<string | null | undefined> {
      const secret = createWebhookSecret()
      const changed = await update(id, {
        secret,
        previous_secret: sql`${webhooks.secret}`,
        previous_until: addSeconds(now(), previousSecretSeconds),
      })
      return changed && secret
    },

    /** Whether there was such a webhook. */
    remove,
  }
}

export type WebhookRepository = ReturnType<typeof createWebhookRepository>

type Row = {
  [Name in keyof typeof ownColumns]: (typeof webhooks.$inferSelect)[Name]
} & { pending_since: string | null }

const toWebhook = ({
  last_failure_at: at,
  last_failure_status: status,
  last_failure_detail: detail,
  ...webhook
}: Row): Webhook => ({
  ...webhook,
  last_failure: at === null ? null : { at, status, detail: detail ?? '' },
})
