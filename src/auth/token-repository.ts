import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../db/client.ts'
import { reading, writing } from '../db/faults.ts'
import { always, partsOf } from '../db/live.ts'
import { later } from '../db/now.ts'
import { sessions } from '../db/schema.ts'
import { type Caller, whoOf } from './caller.ts'
import type { NewToken, PersonalToken } from './model.ts'
import { endOne } from './session-repository.ts'

const defaultSeconds = 90 * 86_400

/** What is kept of a scope: who may write may read too. */
const granted = { 'tasks:read': 'tasks:read', 'tasks:write': 'tasks:read tasks:write' }
export const grantedScope = (scope: NewToken['scope']): string => granted[scope]
const isPersonal = eq(sessions.kind, 'personal')
const askedScope = (scope: string): PersonalToken['scope'] =>
  scope === granted['tasks:write'] ? 'tasks:write' : 'tasks:read'

/**
 * The personal access tokens of one caller: sessions of kind `personal`, each with one token.
 * Each method is one statement that the caller's live session is part of: `undefined` means
 * that it has ended.
 */
export const tokenRepository = (db: Db, caller: Caller) => {
  const { userId, sessionId } = caller
  const who = whoOf(caller)
  const at = who.now
  const { live, locked } = partsOf(db, who)
  const mine = and(eq(sessions.user_id, userId), isPersonal, gt(sessions.expires_at, at))

  return {
    async add({ name, scope, expires_in }: NewToken): Promise<PersonalToken | undefined> {
      const id = Bun.randomUUIDv7()
      // Whole seconds, as the token has it.
      const started = `${at.slice(0, 19)}.000Z`
      const expires_at = later(started, expires_in ?? defaultSeconds)
      // Looked at once more under the lock: where the session was ended in between, no token outlives it.
      const still = db.$with('still').as(
        db
          .select({ user_id: sessions.user_id })
          .from(sessions)
          .innerJoin(locked, always)
          .where(and(eq(sessions.user_id, userId), eq(sessions.id, sessionId)))
          .for('key share', { of: sessions }),
      )
      const row = sql`select ${still.user_id}, ${id}::uuid, 'personal'::session_kind, ${name}::text,
        ${granted[scope]}::text, ${at}::timestamptz, ${expires_at}::timestamptz, ${at}::timestamptz
        from ${still}`
      const added = await writing(() =>
        db.with(live, locked, still).insert(sessions).select(row).returning({ id: sessions.id }),
      )
      return added.length === 0 ? undefined : { id, name, scope, expires_at }
    },

    /** Oldest first. */
    async list(): Promise<PersonalToken[] | undefined> {
      const { id, name, scope, expires_at } = sessions
      const token = db
        .select({ id, name, scope, expires_at })
        .from(sessions)
        .where(mine)
        .orderBy(asc(sessions.created_at), asc(sessions.id))
        .as('token')
      const found = await reading(() => db.with(live).select().from(live).leftJoin(token, always))
      if (found.length === 0) return undefined
      return found.flatMap(({ token }) =>
        token ? { ...token, name: token.name ?? '', scope: askedScope(token.scope) } : [],
      )
    },

    /** Whether there was such a token to end. */
    end: (id: string) => endOne(db, caller, and(eq(sessions.id, id), isPersonal)),
  }
}
