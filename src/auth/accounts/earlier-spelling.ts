import { and, inArray, ne } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead } from '../../db/errors.ts'
import { users } from '../../db/schema.ts'
import { earlierSpellings } from '../../schema/email.ts'

/**
 * Whether another account is stored under an earlier spelling of an address, which the unique constraint cannot know. No account
 * gets such a spelling any more, so the answer does not change before the write that follows. Most addresses have no other
 * spelling, and cause no statement. (Within the insertion, the query deadlocked or failed on Citus.)
 */
export const isStoredOtherwise = async (
  db: Db,
  email: string,
  userId?: string,
): Promise<boolean> => {
  const spellings = earlierSpellings(email)
  if (spellings.length === 0) return false
  const isOther = userId === undefined ? undefined : ne(users.id, userId)
  const found = await runRead(() =>
    db
      .select({ id: users.id })
      .from(users)
      .where(and(inArray(users.email, spellings), isOther))
      .limit(1),
  )
  return found.length > 0
}
