import { and, asc, count, eq, exists, isNull, lte, min, or, type SQL, sql } from 'drizzle-orm'
import { addSeconds, now } from '../db/clock.ts'
import type { Db } from '../db/database.ts'
import { runRead, runWrite } from '../db/errors.ts'
import type { DisabledReason } from '../db/live-tables.ts'
import { userChanges, users, webhooks } from '../db/schema.ts'
import type { NoticeStatements } from '../mail/notices.ts'
import { lastId } from '../tasks/changes/statements.ts'
import type { Outcome } from './send.ts'

/** A webhook that this instance delivers to. */
export type Claim = typeof webhooks.$inferSelect & { lease: string }

/** Longer than one delivery. After a crash, another instance continues when it ends. */
const leaseSeconds = 20

/** What happens after a failed attempt: another one, or none. */
type Consequence = { nextAttemptAt: string } | { disabledReason: DisabledReason }

const isClaimed = ({ user_id, id, lease }: Claim) =>
  and(eq(webhooks.user_id, user_id), eq(webhooks.id, id), eq(webhooks.lease, lease))

/** Of two instances, the one that waits for the row of the other finds another lease in it (as in `mail/outbox.ts`). */
const claimStatement = (db: Db, limit: number, userId: string | undefined) => {
  const at = now()
  const { user_id, id, lease } = webhooks
  const due = db.$with('due').as(
    db
      .select({ user_id, id, lease })
      .from(webhooks)
      .innerJoin(userChanges, eq(userChanges.user_id, webhooks.user_id))
      .innerJoin(users, eq(users.id, webhooks.user_id))
      .where(and(isDue(at), isNull(users.disabled_at), userId ? eq(user_id, userId) : undefined))
      .orderBy(asc(webhooks.next_attempt_at))
      .limit(limit),
  )
  return db
    .with(due)
    .update(webhooks)
    .set({ lease: Bun.randomUUIDv7(), leased_until: addSeconds(at, leaseSeconds) })
    .from(due)
    .where(
      and(
        eq(user_id, due.user_id),
        eq(id, due.id),
        sql`${lease} is not distinct from ${due.lease}`,
      ),
    )
    .returning(webhookColumns)
}

type Failure = { outcome: Outcome; since: string; next: Consequence }

const failStatement = (
  db: Db,
  notices: NoticeStatements,
  claim: Claim,
  { outcome, since, next }: Failure,
) => {
  const isDisabled = 'disabledReason' in next
  const failed = db.$with('failed').as(
    db
      .update(webhooks)
      .set({
        attempts: sql`${webhooks.attempts} + 1`,
        failing_since: sql`coalesce(${webhooks.failing_since}, ${since}::timestamptz)`,
        last_failure_at: now(),
        last_failure_status: outcome.status,
        last_failure_detail: outcome.detail,
        lease: null,
        leased_until: null,
        ...(isDisabled
          ? { enabled: false, disabled_reason: next.disabledReason }
          : { next_attempt_at: next.nextAttemptAt }),
      })
      .where(isClaimed(claim))
      .returning({ user_id: webhooks.user_id }),
  )
  const account = db.$with('account').as(
    db
      .select({ email: users.email })
      .from(users)
      .where(and(eq(users.id, claim.user_id), exists(db.select().from(failed)))),
  )
  const mailed = isDisabled ? notices.ofDisabledWebhook(account, claim.user_id) : []
  return db
    .with(failed, account, ...mailed)
    .select()
    .from(failed)
}

/**
 * The webhooks with something to deliver. Any number of instances deliver: each claims some for a time, extends the claim
 * with each delivery, and a webhook whose instance died is claimed again. A claim that was lost changes nothing.
 */
export const createWebhookQueue = (db: Db, notices: NoticeStatements) => {
  const update = async (claim: Claim, set: Record<string, unknown>): Promise<boolean> => {
    const updated = db.update(webhooks).set(set).where(isClaimed(claim))
    return (await runWrite(() => updated.returning({ id: webhooks.id }))).length > 0
  }

  return {
    /** Claims webhooks that have something to deliver: of any user, or of one. */
    claim: async (limit: number, userId?: string): Promise<Claim[]> =>
      (await runWrite(() => claimStatement(db, limit, userId))) as Claim[],

    /** The webhook has received everything up to a position. False if the claim was lost. */
    advance: (claim: Claim, position: { number: number; id: string }, isDelivered: boolean) =>
      update(claim, {
        change: position.number,
        change_id: position.id,
        attempts: 0,
        failing_since: null,
        ...(isDelivered && { last_success_at: now() }),
        leased_until: addSeconds(now(), leaseSeconds),
      }),

    release: (claim: Claim) => update(claim, { lease: null, leased_until: null }),

    /** Ends the claim after a failed attempt; false if it was lost. A webhook that is disabled by it sends a mail. */
    fail: async (claim: Claim, failure: Failure): Promise<boolean> =>
      (await runWrite(() => failStatement(db, notices, claim, failure))).length > 0,

    /** The users with enabled webhooks, and how many of these fail since when. */
    summarize: async () => {
      const rows = await runRead(() =>
        db
          .select({
            userId: webhooks.user_id,
            failing: count(webhooks.failing_since),
            failingSince: min(webhooks.failing_since),
          })
          .from(webhooks)
          .where(eq(webhooks.enabled, true))
          .groupBy(webhooks.user_id),
      )
      return rows.map((row) => ({ ...row, failing: Number(row.failing) }))
    },
  }
}

export type WebhookQueue = ReturnType<typeof createWebhookQueue>

const isDue = (at: string): SQL | undefined =>
  and(
    eq(webhooks.enabled, true),
    lte(webhooks.next_attempt_at, at),
    or(isNull(webhooks.leased_until), lte(webhooks.leased_until, at)),
    sql`(${userChanges.last}, ${lastId}::uuid) > (${webhooks.change}, ${webhooks.change_id})`,
  )

const { user_id, id, url, events, secret, previous_secret, previous_until } = webhooks
const webhookColumns = {
  user_id,
  id,
  url,
  events,
  secret,
  previous_secret,
  previous_until,
  change: webhooks.change,
  change_id: webhooks.change_id,
  attempts: webhooks.attempts,
  lease: webhooks.lease,
}
