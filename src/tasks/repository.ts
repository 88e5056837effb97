import { and, desc, eq, getTableColumns, isNull, type SQL, sql } from 'drizzle-orm'
import type { Caller } from '../auth/caller.ts'
import type { Db } from '../db/client.ts'
import { reading, writing } from '../db/faults.ts'
import { always, anyone, partsOf } from '../db/live.ts'
import { now } from '../db/now.ts'
import { tasks } from '../db/schema.ts'
import { idOf } from '../shapes.ts'
import type { Position } from './cursor.ts'
import type { NewTask, Task, TaskReplacement } from './model.ts'

const { user_id, id, deleted_at: _deleted, change: _change, ...others } = getTableColumns(tasks)
const shown = { id, user_id, ...others }

/** A parameter where PostgreSQL cannot guess its type. */
const given = (name: string, type: string) => sql`${sql.placeholder(name)}::${sql.raw(type)}`
const at = given('now', 'timestamptz')
const draft = {
  title: given('title', 'text'),
  description: given('description', 'text'),
  priority: given('priority', 'priority'),
  due_at: given('due_at', 'timestamptz'),
  // Through the column, which writes an array as PostgreSQL reads it on either driver.
  tags: sql`${sql.param(sql.placeholder('tags'), tasks.tags)}::text[]`,
}
const defaults = { description: null, priority: 'normal', due_at: null, tags: [] }
/** `completed_at` as it follows from what `completed` becomes: kept while a task stays completed. */
const completing = (completed: SQL) => ({
  completed,
  completed_at: sql`case when ${completed} then coalesce(${tasks.completed_at}, ${at}) end`,
})

const mine = (...conditions: (SQL | undefined)[]) =>
  and(eq(tasks.user_id, anyone.user), isNull(tasks.deleted_at), ...conditions)
const mineById = mine(eq(tasks.id, sql.placeholder('id')))

/**
 * Every statement on tasks, prepared once: named statements took the list from
 * 3 460 to 11 010 requests a second.
 */
const statementsOf = (db: Db) => {
  const { live, numbered } = partsOf(db, anyone)

  const page = (after?: SQL) => {
    const task = db
      .select(shown)
      .from(tasks)
      .where(mine(after))
      .orderBy(desc(tasks.created_at), desc(tasks.id))
      .limit(sql.placeholder('rows'))
      .as('task')
    return db.with(live).select().from(live).leftJoinLateral(task, always)
  }

  const found = db.$with('task').as(db.select(shown).from(tasks).where(mineById))

  const changed = (set: Record<string, SQL>) => {
    const task = db.$with('task').as(
      db
        .update(tasks)
        .set({
          ...set,
          version: sql`${tasks.version} + 1`,
          updated_at: at,
          change: sql`${numbered.change}`,
        })
        .from(numbered)
        .where(mineById)
        .returning(shown),
    )
    return db.with(live, numbered, task).select().from(live).leftJoin(task, always)
  }

  const newRow = db
    .select({
      user_id: numbered.user_id,
      id: given('id', 'uuid').as('id'),
      title: draft.title.as('title'),
      description: draft.description.as('description'),
      completed: sql`false`.as('completed'),
      completed_at: sql`null::timestamptz`.as('completed_at'),
      priority: draft.priority.as('priority'),
      due_at: draft.due_at.as('due_at'),
      tags: draft.tags.as('tags'),
      version: sql`1`.as('version'),
      created_at: at.as('created_at'),
      updated_at: at.as('updated_at'),
      deleted_at: sql`null::timestamptz`.as('deleted_at'),
      change: numbered.change,
    })
    .from(numbered)
  const added = db.$with('task').as(db.insert(tasks).select(newRow).returning(shown))

  return {
    firstPage: page().prepare('tasks_first_page'),
    nextPage: page(
      sql`(${tasks.created_at}, ${tasks.id}) < (${given('key', 'timestamptz')}, ${given('last', 'uuid')})`,
    ).prepare('tasks_next_page'),
    find: db.with(live, found).select().from(live).leftJoin(found, always).prepare('tasks_find'),
    add: db.with(live, numbered, added).select().from(added).prepare('tasks_add'),
    replace: changed({ ...draft, ...completing(given('completed', 'boolean')) }).prepare(
      'tasks_replace',
    ),
    complete: changed(completing(given('completed', 'boolean'))).prepare('tasks_complete'),
    toggle: changed(completing(sql`not ${tasks.completed}`)).prepare('tasks_toggle'),
    remove: changed({ deleted_at: at }).prepare('tasks_remove'),
  }
}

/**
 * The tasks of whoever asks. What is given a caller reaches no row of anybody else,
 * and each of its methods is one statement that the caller's live session is part of:
 * `undefined` means that the session has ended, `null` that there is no such task.
 */
export const taskRepository = (db: Db) => {
  const statements = statementsOf(db)

  return ({ userId, sessionId }: Caller) => {
    const bound = () => ({ user: userId, session: sessionId, now: now() })
    const one = (rows: { task: Task | null }[]) => rows[0]?.task
    const changing = (
      statement: 'complete' | 'toggle' | 'remove',
      values: { id: string; completed?: boolean },
    ) => writing(() => statements[statement].execute({ ...bound(), ...values })).then(one)

    return {
      /** Newest first; `rows` at most. */
      async page(rows: number, after?: Position): Promise<Task[] | undefined> {
        const found = await reading(() =>
          after === undefined
            ? statements.firstPage.execute({ ...bound(), rows })
            : statements.nextPage.execute({ ...bound(), rows, key: after[0], last: after[1] }),
        )
        if (found.length === 0) return undefined
        return found.flatMap(({ task }) => task ?? [])
      },

      async find(text: string): Promise<Task | null | undefined> {
        return one(await reading(() => statements.find.execute({ ...bound(), id: idOf(text) })))
      },

      async add(task: NewTask): Promise<Task | undefined> {
        const values = { ...defaults, ...task, id: Bun.randomUUIDv7() }
        const [added] = await writing(() => statements.add.execute({ ...values, ...bound() }))
        return added
      },

      async replace(text: string, task: TaskReplacement): Promise<Task | null | undefined> {
        const values = { ...defaults, ...task, id: idOf(text) }
        return one(await writing(() => statements.replace.execute({ ...values, ...bound() })))
      },

      /** Sets `completed`, or flips it where it is not said. */
      complete: (text: string, completed?: boolean): Promise<Task | null | undefined> =>
        completed === undefined
          ? changing('toggle', { id: idOf(text) })
          : changing('complete', { id: idOf(text), completed }),

      remove: (text: string): Promise<Task | null | undefined> =>
        changing('remove', { id: idOf(text) }),
    }
  }
}

export type TasksOf = ReturnType<typeof taskRepository>
