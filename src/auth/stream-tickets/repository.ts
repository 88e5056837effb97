import { sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runRead, runWrite } from '../../db/errors.ts'
import { usedStreamTickets } from '../../db/schema.ts'
import { createUserScope, type Principal, scopeParameters, TRUE } from '../../db/user-scope.ts'
import type { VerifiedTicket } from './ticket.ts'

/** The stream tickets of a principal. */
export const createStreamTicketRepository = (db: Db) => (principal: Principal) => ({
  /** Whether the access token of the session can be used. */
  async isLive(): Promise<boolean> {
    const { sessionRow } = createUserScope(db, scopeParameters(principal))
    return (await runRead(() => db.with(sessionRow).select().from(sessionRow))).length > 0
  },

  /** Uses a ticket up. False if it was used before, undefined if the session has ended. */
  async use({ id, expiresAt }: VerifiedTicket['ticket']): Promise<boolean | undefined> {
    const scope = scopeParameters(principal)
    const { sessionRow } = createUserScope(db, scope)
    const row = sql`select ${scope.user}::uuid, ${id}::uuid, ${expiresAt}::timestamptz from ${sessionRow}`
    const used = db
      .$with('used')
      .as(
        db
          .insert(usedStreamTickets)
          .select(row)
          .onConflictDoNothing()
          .returning({ id: usedStreamTickets.id }),
      )
    const [found] = await runWrite(() =>
      db.with(sessionRow, used).select().from(sessionRow).leftJoin(used, TRUE),
    )
    return found && found.used !== null
  },
})

export type StreamTicketRepository = ReturnType<typeof createStreamTicketRepository>
