import { and, asc, eq, exists, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/database.ts'
import { runRead, runWrite } from '../db/errors.ts'
import { arrayLiteral } from '../db/params.ts'
import { reminderEvents, tasks, taskTombstones, userChanges, webhooks } from '../db/schema.ts'
import { createUserScope, type Principal, scopeParameters, TRUE } from '../db/user-scope.ts'
import { lastId } from '../tasks/changes/statements.ts'
import { type NewWebhook, webhookEvents, webhooksMax } from './schema.ts'

/** Writes of a principal. Each returns undefined if the session has ended. */
export const createWrites = (db: Db, principal: Principal) => {
  const scope = scopeParameters(principal)
  const { sessionRow, lockedUser } = createUserScope(db, scope)
  const isOwn = eq(webhooks.user_id, scope.user)
  const isOne = (id: string) => and(isOwn, eq(webhooks.id, id))
  const isLocked = exists(db.select().from(lockedUser))
  const columns = webhookColumns(scope.user)

  return {
    insert: async (row: NewWebhook, secret: string) => {
      const values = newRow(row, secret, { ...scope, lockedUser: sql`${lockedUser}` })
      const created = db
        .$with('created')
        .as(db.insert(webhooks).select(values).returning(ownColumns))
      const statement = db.with(sessionRow, lockedUser, created)
      const [found] = await runWrite(() =>
        statement.select().from(sessionRow).leftJoin(created, TRUE),
      )
      return found?.created
    },

    update: async (id: string, set: Record<string, unknown>) => {
      const changed = db.$with('changed').as(
        db
          .update(webhooks)
          // A delivery in progress loses its claim, and the next one uses the new values.
          .set({ ...set, lease: null, leased_until: null })
          .where(and(isOne(id), isLocked))
          .returning(columns),
      )
      const statement = db.with(sessionRow, lockedUser, changed)
      const [found] = await runWrite(() =>
        statement.select().from(sessionRow).leftJoin(changed, TRUE),
      )
      return found?.changed
    },

    remove: async (id: string) => {
      const removed = db.$with('removed').as(
        db
          .delete(webhooks)
          .where(and(isOne(id), isLocked))
          .returning({ id: webhooks.id }),
      )
      const statement = db.with(sessionRow, lockedUser, removed)
      const [found] = await runWrite(() =>
        statement.select().from(sessionRow).leftJoin(removed, TRUE),
      )
      return found && found.removed !== null
    },
  }
}

/** Reads of a principal. Each returns undefined if the session has ended. */
export const createReads = (db: Db, principal: Principal) => {
  const scope = scopeParameters(principal)
  const { sessionRow } = createUserScope(db, scope)
  const isOwn = eq(webhooks.user_id, scope.user)
  const isOne = (id: string) => and(isOwn, eq(webhooks.id, id))
  const columns = webhookColumns(scope.user)

  return {
    /** All webhooks, oldest first, or the one with this id. */
    select: async (id?: string) => {
      const found = db
        .select(columns)
        .from(webhooks)
        .where(id === undefined ? isOwn : isOne(id))
        .orderBy(asc(webhooks.created_at), asc(webhooks.id))
        .as('found')
      const rows = await runRead(() =>
        db.with(sessionRow).select().from(sessionRow).leftJoin(found, TRUE),
      )
      return rows.length === 0 ? undefined : rows.flatMap((row) => row.found ?? [])
    },

    receiver: async (id: string) => {
      const { url, secret, previous_secret, previous_until } = webhooks
      const receiver = db
        .select({ url, secret, previous_secret, previous_until })
        .from(webhooks)
        .where(isOne(id))
        .as('receiver')
      const [found] = await runRead(() =>
        db.with(sessionRow).select().from(sessionRow).leftJoin(receiver, TRUE),
      )
      return found?.receiver
    },
  }
}

type Scope = { user: string; now: string; lockedUser: SQL }

/** The values of a new webhook in a free slot; no row without one. It starts at the present position. */
const newRow = (row: NewWebhook, secret: string, { user, now: at, lockedUser }: Scope): SQL =>
  sql`select ${user}::uuid, ${Bun.randomUUIDv7()}::uuid, free.slot, ${row.url}::text, ${row.name ?? null}::text,
    ${arrayLiteral(row.events ?? webhookEvents)}::text[], true, null::text, ${at}::timestamptz, ${secret}::text,
    null::text, null::timestamptz,
    (select ${userChanges.last} from ${userChanges} where ${userChanges.user_id} = ${user}), ${lastId}::uuid,
    0, ${at}::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::integer, null::text,
    null::uuid, null::timestamptz
    from ${lockedUser}, lateral (
      select candidate.slot from generate_series(1, ${webhooksMax}::integer) as candidate (slot)
      where not exists (
        select from ${webhooks} where ${webhooks.user_id} = ${user} and ${webhooks.slot} = candidate.slot)
      order by candidate.slot limit 1) as free`

export const ownColumns = {
  id: webhooks.id,
  url: webhooks.url,
  name: webhooks.name,
  events: webhooks.events,
  enabled: webhooks.enabled,
  disabled_reason: webhooks.disabled_reason,
  created_at: webhooks.created_at,
  last_success_at: webhooks.last_success_at,
  last_failure_at: webhooks.last_failure_at,
  last_failure_status: webhooks.last_failure_status,
  last_failure_detail: webhooks.last_failure_detail,
}

/** With the time of the first change after the position of the webhook. */
const webhookColumns = (user: string) => {
  const position = sql`(${webhooks.change}, ${webhooks.change_id})`
  return {
    ...ownColumns,
    pending_since: sql<string | null>`(select min(waiting.at) from (
      (select ${tasks.updated_at} as at from ${tasks} where ${tasks.user_id} = ${user} and ${tasks.change} > 0
        and (${tasks.change}, ${tasks.id}) > ${position} order by ${tasks.change}, ${tasks.id} limit 1)
      union all
      (select ${taskTombstones.erased_at} as at from ${taskTombstones} where ${taskTombstones.user_id} = ${user}
        and (${taskTombstones.change}, ${taskTombstones.id}) > ${position}
        order by ${taskTombstones.change}, ${taskTombstones.id} limit 1)
      union all
      (select ${reminderEvents.delivered_at} as at from ${reminderEvents} where ${reminderEvents.user_id} = ${user}
        and (${reminderEvents.change}, ${reminderEvents.id}) > ${position}
        order by ${reminderEvents.change}, ${reminderEvents.id} limit 1)) as waiting)`
      .mapWith(tasks.updated_at)
      .as('pending_since'),
  }
}
