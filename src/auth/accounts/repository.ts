import { and, eq, exists } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite, violatesConstraint } from '../../db/errors.ts'
import { users } from '../../db/schema.ts'
import { createUserScope, type Principal, scopeParameters, TRUE } from '../../db/user-scope.ts'
import type { NoticeStatements } from '../../mail/notices.ts'
import { endAllSessions } from '../sessions/repository.ts'
import { isStoredOtherwise } from './earlier-spelling.ts'
import type { User } from './schema.ts'
import { createAccountStatements, credentialColumns, userColumns } from './statements.ts'

/** What a user can change without a password. */
export type Profile = Partial<Pick<User, 'name' | 'time_zone' | 'reminders_by_mail'>>

/**
 * The account of a principal. Each method is one statement that checks the session; `undefined` (or `false`) means
 * that the session has ended. `verifiedHash` is the password hash that was verified before: if it changed since,
 * the statement has no effect.
 */
export const createAccountRepository =
  (db: Db, notices: NoticeStatements) => (principal: Principal) => {
    const { userId, sessionId } = principal
    const { sessionRow, lockedUser } = createUserScope(db, scopeParameters(principal))
    const statements = createAccountStatements(db, principal, { sessionRow, lockedUser, notices })
    const isUser = eq(users.id, userId)
    const isLocked = and(isUser, exists(db.select().from(lockedUser)))
    const isVerified = (verifiedHash: string) =>
      and(isLocked, eq(users.password_hash, verifiedHash))

    return {
      async me(): Promise<User | undefined> {
        const [user] = await runRead(() =>
          db
            .with(sessionRow)
            .select(userColumns)
            .from(users)
            .innerJoin(sessionRow, TRUE)
            .where(isUser),
        )
        return user
      },

      async credentials() {
        const [credentials] = await runRead(() =>
          db
            .with(sessionRow)
            .select(credentialColumns)
            .from(users)
            .innerJoin(sessionRow, TRUE)
            .where(isUser),
        )
        return credentials
      },

      async change(profile: Profile): Promise<User | undefined> {
        return (await runWrite(() => statements.changeProfile(profile, isLocked)))[0]
      },

      /** `'taken'` if another account has the e-mail. */
      async changeEmail(
        changes: Profile & { email: string },
        verifiedHash: string,
      ): Promise<User | 'taken' | undefined> {
        if (await isStoredOtherwise(db, changes.email, userId)) return 'taken'
        try {
          const changed = statements.changeEmail(changes, isVerified(verifiedHash))
          return (await runWrite(() => changed))[0]
        } catch (error) {
          if (violatesConstraint(error, 'users_email')) return 'taken'
          throw error
        }
      },

      /** Stores the next e-mail, and the message with its link. `isOverLimit`: no link is sent. */
      async requestEmail(
        changes: Profile & { email: string },
        verifiedHash: string,
        isOverLimit: boolean,
      ): Promise<User | undefined> {
        const template = isOverLimit ? 'none' : 'verify-new-email'
        const changed = statements.requestEmail(changes, isVerified(verifiedHash), template)
        return (await runWrite(() => changed))[0]
      },

      /** Ends all other sessions, and makes mailed links invalid. */
      async changePassword(verifiedHash: string, password_hash: string): Promise<boolean> {
        const changed = statements.changePassword(password_hash, isVerified(verifiedHash))
        if ((await runWrite(() => changed)).length === 0) return false
        // The old password starts no session from here on. Those that it started meanwhile end now.
        await endAllSessions(db, userId, sessionId)
        return true
      },

      /** Erases the account with all its rows. */
      async erase(verifiedHash: string): Promise<boolean> {
        return (await runWrite(() => statements.erase(isVerified(verifiedHash)))).length > 0
      },
    }
  }

export type AccountRepository = ReturnType<typeof createAccountRepository>
