import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { createIdempotencyCtes } from '../../db/idempotency.ts'
import { TRUE } from '../../db/user-scope.ts'
import { taskJson } from '../task/sql.ts'
import { createEffects, createSuccessors } from './effects.ts'
import { createGuards } from './guards.ts'

const createBatchCtes = (db: Db, isFirstUse?: SQL) => {
  const guards = createGuards(db, isFirstUse)
  const effects = createEffects(db, guards)
  const { sessionRow, nextChange, operations, current, refused, recurring, missingList } = guards
  const { successors, removed, tombstone } = createSuccessors(db, guards, effects.changed)
  const first = [sessionRow, nextChange] as const
  const read = [operations, current, refused, recurring, missingList, guards.proceed] as const
  const written = [effects.created, effects.changed] as const
  const ofSeries = [successors, removed, tombstone] as const
  return { ...guards, ...effects, first, read, written, ofSeries }
}

type Options = { hasSuccessors?: boolean }

/** Returns all written tasks; or the first operation that is refused; or what recurring tasks need first. */
export const batchStatement = (db: Db, { hasSuccessors = false }: Options = {}) => {
  const ctes = createBatchCtes(db)
  const { first, read, written, ofSeries, sessionRow, refused, recurring, missingList, task } = ctes
  return db
    .with(...first, ...read, ...written, ...(hasSuccessors ? ofSeries : []))
    .select()
    .from(sessionRow)
    .leftJoin(refused, TRUE)
    .leftJoin(recurring, TRUE)
    .leftJoin(missingList, TRUE)
    .leftJoin(task, TRUE)
}

/** The same, once per `Idempotency-Key`. */
export const idempotentBatchStatement = (db: Db, { hasSuccessors = false }: Options = {}) => {
  const { earlierResponse, expired, storeResponse, isFirstUse } = createIdempotencyCtes(db)
  const ctes = createBatchCtes(db, isFirstUse)
  const { first, read, written, ofSeries, sessionRow, refused, recurring, missingList, task } = ctes
  const done = db.$with('done').as(
    db
      .select({ body: sql`json_agg(${taskJson(task)})`.as('body') })
      .from(task)
      .having(sql`count(*) > 0`),
  )
  const storedResponse = storeResponse(sql`body`, sql`null`, sql`${done}`)
  return db
    .with(
      ...first,
      earlierResponse,
      expired,
      ...read,
      ...written,
      ...(hasSuccessors ? ofSeries : []),
      done,
      storedResponse,
    )
    .select()
    .from(sessionRow)
    .leftJoin(earlierResponse, TRUE)
    .leftJoin(refused, TRUE)
    .leftJoin(recurring, TRUE)
    .leftJoin(missingList, TRUE)
    .leftJoin(task, TRUE)
}
