import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { addSeconds } from '../../db/clock.ts'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import { sessions } from '../../db/schema.ts'
import { createUserScope, type Principal, scopeParameters, TRUE } from '../../db/user-scope.ts'
import { calendarScope } from '../calendar-feeds/secret.ts'
import { endOwnSession } from '../sessions/repository.ts'
import type { NewPersonalToken, PersonalToken } from './schema.ts'

const defaultSeconds = 90 * 86_400

/** The scope that is stored and signed. Deliveries contain tasks, so that webhooks include reading them. */
const granted = {
  'tasks:read': 'tasks:read',
  'tasks:write': 'tasks:read tasks:write',
  'webhooks:write': 'tasks:read webhooks:write',
  [calendarScope]: calendarScope,
}
export const grantedScope = (scope: NewPersonalToken['scope']): string => granted[scope]
const scopes = Object.keys(granted) as PersonalToken['scope'][]
const toScope = (stored: string): PersonalToken['scope'] =>
  scopes.find((scope) => granted[scope] === stored) ?? 'tasks:read'

const isPersonal = eq(sessions.kind, 'personal')

/**
 * The personal access tokens of a principal: sessions of kind `personal`, one per token. Each method is one statement
 * that checks the session; `undefined` means that it has ended.
 */
export const createPersonalTokenRepository = (db: Db) => (principal: Principal) => {
  const { userId, sessionId } = principal
  const parameters = scopeParameters(principal)
  const { now } = parameters
  const { sessionRow, lockedUser } = createUserScope(db, parameters)
  const isOwn = and(eq(sessions.user_id, userId), isPersonal, gt(sessions.expires_at, now))

  return {
    /** `secretHash` is that of a calendar feed. */
    async add(
      id: string,
      { name, scope, expires_in }: NewPersonalToken,
      secretHash?: string,
    ): Promise<PersonalToken | undefined> {
      // Whole seconds, as in the token.
      const startedAt = `${now.slice(0, 19)}.000Z`
      const expires_at = addSeconds(startedAt, expires_in ?? defaultSeconds)
      // Checks the session again under the lock: a token never outlives a session that ended meanwhile.
      const liveSession = db.$with('live_session').as(
        db
          .select({ user_id: sessions.user_id })
          .from(sessions)
          .innerJoin(lockedUser, TRUE)
          .where(and(eq(sessions.user_id, userId), eq(sessions.id, sessionId)))
          .for('key share', { of: sessions }),
      )
      const row = sql`select ${liveSession.user_id}, ${id}::uuid, 'personal'::session_kind, ${name}::text,
        ${granted[scope]}::text, ${now}::timestamptz, ${expires_at}::timestamptz, ${now}::timestamptz, null::text,
        null::timestamptz, 0, null::timestamptz, null::timestamptz, ${secretHash ?? null}::text
        from ${liveSession}`
      const added = await runWrite(() =>
        db
          .with(sessionRow, lockedUser, liveSession)
          .insert(sessions)
          .select(row)
          .returning({ id: sessions.id }),
      )
      return added.length === 0
        ? undefined
        : { id, name, scope, created_at: now, expires_at, last_seen_at: now }
    },

    /** Oldest first. */
    async list(): Promise<PersonalToken[] | undefined> {
      const { id, name, scope, created_at, expires_at, last_seen_at } = sessions
      const token = db
        .select({ id, name, scope, created_at, expires_at, last_seen_at })
        .from(sessions)
        .where(isOwn)
        .orderBy(asc(sessions.created_at), asc(sessions.id))
        .as('token')
      const rows = await runRead(() =>
        db.with(sessionRow).select().from(sessionRow).leftJoin(token, TRUE),
      )
      if (rows.length === 0) return undefined
      return rows.flatMap(({ token }) =>
        token ? { ...token, name: token.name ?? '', scope: toScope(token.scope) } : [],
      )
    },

    /** Whether there was such a token. */
    end: (id: string) => endOwnSession(db, principal, and(eq(sessions.id, id), isPersonal)),
  }
}

export type PersonalTokenRepository = ReturnType<typeof createPersonalTokenRepository>
