import { and, eq, sql } from 'drizzle-orm'
import type { Db } from '../../db/database.ts'
import { runWrite } from '../../db/errors.ts'
import { anchorParam, isPlaced, moveCtes, moveParameters } from '../../db/moves.ts'
import { arrayLiteral, type ExpectedVersions, nowParam, param } from '../../db/params.ts'
import { prepareStatement } from '../../db/prepared-statement.ts'
import { inboxId, listOf, lists, taskPosition, tasks } from '../../db/schema.ts'
import {
  changeOf,
  createUserScope,
  isStarted,
  type Principal,
  placeholders,
  scopeParameters,
  TRUE,
} from '../../db/user-scope.ts'
import { normalizeId } from '../../schema/types.ts'
import type { Task } from '../task/schema.ts'
import { byId, isActiveTask, taskColumns, toTask } from '../task/sql.ts'
import type { Anchor } from './anchor.ts'

/** The moved task; or the version that is not the expected one; or what the move names and the user does not have. */
export type MoveResult = { task: Task } | { version: number } | { missing: 'list' | 'anchor' }

/** Where a task goes. Without `list_id` it stays in its list; without an anchor it goes to the end. */
export type TaskDestination = { list_id?: string | null; anchor: Anchor }

const versions = param('versions', 'int[]')
const movesToList = param('movesToList', 'boolean')
const list = param('list', 'uuid')

/** Locks the task and its neighbour, in the same order as every write: the user's counter first. */
const lockedRows = (db: Db) => {
  const { nextChange } = createUserScope(db, placeholders)
  const current = db.$with('current').as(
    db
      .select({
        id: tasks.id,
        version: tasks.version,
        list_id: tasks.list_id,
        change: changeOf(nextChange),
      })
      .from(tasks)
      .where(and(isActiveTask, byId, isStarted(nextChange)))
      .for('update'),
  )
  const anchor = db.$with('anchor').as(
    db
      .select({
        id: tasks.id,
        list_id: tasks.list_id,
        position: sql<string>`${taskPosition(tasks)}`.as('position'),
      })
      .from(tasks)
      .where(and(isActiveTask, eq(tasks.id, anchorParam), isStarted(nextChange)))
      .for('update'),
  )
  return { current, anchor }
}

const moveStatement = (db: Db) => {
  const { sessionRow, nextChange } = createUserScope(db, placeholders)
  const { current, anchor } = lockedRows(db)
  const listId = sql`case when ${movesToList} then ${list} else ${current.list_id} end`
  // One row for the task, with what the move lacks.
  const checked = db.$with('checked').as(
    db
      .select({
        id: current.id,
        change: current.change,
        version: current.version,
        target_list: sql<string | null>`${listId}`.as('target_list'),
        is_expected: sql<boolean>`${versions} is null or ${current.version} = any(${versions})`.as(
          'is_expected',
        ),
        has_list: sql<boolean>`not ${movesToList} or ${list} is null or exists (
          select from ${lists} where ${lists.user_id} = ${placeholders.user} and ${lists.id} = ${list})`.as(
          'has_list',
        ),
        has_anchor: sql<boolean>`${anchorParam} is null or exists (
          select from ${anchor} where ${anchor.list_id} is not distinct from ${listId})`.as(
          'has_anchor',
        ),
      })
      .from(current),
  )
  const target = db.$with('target').as(
    db
      .select({
        id: checked.id,
        change: sql<number>`${checked.change}`.as('change'),
        list_id: sql<string | null>`${checked.target_list}`.as('list_id'),
      })
      .from(checked)
      .where(and(checked.is_expected, checked.has_list, checked.has_anchor)),
  )
  const targetList = sql`(select coalesce("target"."list_id", ${sql.raw(`'${inboxId}'`)}::uuid) from "target")`
  const { placing, ranked, placed } = moveCtes(db, {
    table: sql`${tasks}`,
    id: sql`${tasks.id}`,
    position: taskPosition(tasks),
    isInOrder: sql`${tasks.user_id} = ${placeholders.user} and ${tasks.deleted_at} is null and ${listOf(tasks)} = ${targetList}`,
  })
  const moved = db.$with('moved').as(
    db
      .update(tasks)
      .set({
        list_id: sql`(select "target"."list_id" from "target")`,
        position: sql`${placed.place}`,
        version: sql`${tasks.version} + 1`,
        updated_at: nowParam,
        change: sql`${placed.number}`,
      })
      .from(placed)
      .where(and(eq(tasks.user_id, placeholders.user), isPlaced(sql`${tasks.id}`)))
      .returning(taskColumns),
  )
  const task = db
    .select()
    .from(moved)
    .where(eq(moved.id, sql.placeholder('id')))
    .as('task')
  return db
    .with(sessionRow, nextChange, current, anchor, checked, target, placing, ranked, placed, moved)
    .select()
    .from(sessionRow)
    .leftJoin(checked, TRUE)
    .leftJoin(task, TRUE)
}

/** Moves tasks of a principal, by one statement. `undefined`: the session has ended; `null`: there is no such task. */
export const createMoveRepository = (db: Db) => {
  const statement = prepareStatement(db, () => moveStatement(db))

  return (principal: Principal) =>
    async (
      id: string,
      { list_id, anchor }: TaskDestination,
      expected: ExpectedVersions,
    ): Promise<MoveResult | null | undefined> => {
      const values = {
        ...scopeParameters(principal),
        ...moveParameters(anchor),
        id: normalizeId(id),
        versions: expected ? arrayLiteral(expected) : null,
        movesToList: list_id !== undefined,
        list: list_id ? normalizeId(list_id) : null,
      }
      const [row] = await runWrite(() => statement.execute(values))
      if (row === undefined) return undefined
      const { checked, task } = row
      if (checked === null) return null
      if (!checked.is_expected) return { version: checked.version }
      if (!checked.has_list) return { missing: 'list' }
      return checked.has_anchor && task ? { task: toTask(task) } : { missing: 'anchor' }
    }
}

export type MoveRepository = ReturnType<typeof createMoveRepository>
