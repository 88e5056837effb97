import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Db } from '../../db/client.ts'
import { addSeconds } from '../../db/clock.ts'
import { runRead, runWrite } from '../../db/faults.ts'
import { sessions } from '../../db/schema.ts'
import { createUserScope, type Principal, scopeParameters, TRUE } from '../../db/user-scope.ts'
import type { NewToken, PersonalToken } from '../schema.ts'
import { endOwnSession } from '../sessions/repository.ts'

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
export const createPersonalTokenRepository = (db: Db, principal: Principal) => {
  const { userId, sessionId } = principal
  const scope = scopeParameters(principal)
  const at = scope.now
  const { sessionRow, lockedUser } = createUserScope(db, scope)
  const mine = and(eq(sessions.user_id, userId), isPersonal, gt(sessions.expires_at, at))

  return {
    async add({ name, scope, expires_in }: NewToken): Promise<PersonalToken | undefined> {
      const id = Bun.randomUUIDv7()
      // Whole seconds, as the token has it.
      const started = `${at.slice(0, 19)}.000Z`
      const expires_at = addSeconds(started, expires_in ?? defaultSeconds)
      // Looked at once more under the lock: where the session was ended in between, no token outlives it.
      const still = db.$with('still').as(
        db
          .select({ user_id: sessions.user_id })
          .from(sessions)
          .innerJoin(lockedUser, TRUE)
          .where(and(eq(sessions.user_id, userId), eq(sessions.id, sessionId)))
          .for('key share', { of: sessions }),
      )
      const row = sql`select ${still.user_id}, ${id}::uuid, 'personal'::session_kind, ${name}::text,
        ${granted[scope]}::text, ${at}::timestamptz, ${expires_at}::timestamptz, ${at}::timestamptz
        from ${still}`
      const added = await runWrite(() =>
        db
          .with(sessionRow, lockedUser, still)
          .insert(sessions)
          .select(row)
          .returning({ id: sessions.id }),
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
      const found = await runRead(() =>
        db.with(sessionRow).select().from(sessionRow).leftJoin(token, TRUE),
      )
      if (found.length === 0) return undefined
      return found.flatMap(({ token }) =>
        token ? { ...token, name: token.name ?? '', scope: askedScope(token.scope) } : [],
      )
    },

    /** Whether there was such a token to end. */
    end: (id: string) => endOwnSession(db, principal, and(eq(sessions.id, id), isPersonal)),
  }
}
