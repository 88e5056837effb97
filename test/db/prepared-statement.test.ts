import { expect, test } from 'bun:test'
import { and, eq, sql } from 'drizzle-orm'
import { arrayLiteral } from '../../src/db/params.ts'
import { prepareStatement } from '../../src/db/prepared-statement.ts'
import { tasks, userChanges, users } from '../../src/db/schema.ts'
import { person } from '../support/databases.ts'
import { database } from '../support/service.ts'

const array = (items: string[]) => sql`${arrayLiteral(items)}::text[]`

const task = (user_id: string, more = {}) => ({
  ...{ user_id, id: Bun.randomUUIDv7(), title: 'a title', description: 'with "quotes" and a ,' },
  ...{ priority: 'high' as const, version: 1 },
  ...{ created_at: '2026-01-02T03:04:05.000Z', updated_at: '2026-01-02T03:04:05.600Z', change: 7 },
  ...{ due_at: '2026-01-02T03:04:05.060Z', completed: false, completed_at: null },
  tags: array(['plain', 'in "quotes"', 'back\\slash', '']),
  ...more,
})

test('a prepared statement returns the rows of Drizzle', async () => {
  const { db } = await database()
  const owner = person()
  await db.insert(users).values(owner)
  await db.insert(userChanges).values({ user_id: owner.id, last: 9 })
  const kept = [
    task(owner.id),
    task(owner.id, { tags: array([]), description: null, due_at: null }),
  ]
  await db.insert(tasks).values(kept)
  const mine = eq(tasks.user_id, sql.placeholder('user'))
  const of = db.$with('owner').as(
    db
      .select({ id: users.id })
      .from(users)
      .where(eq(users.id, sql.placeholder('user'))),
  )
  const found = db.$with('task').as(db.select().from(tasks).where(mine))
  const missing = db.$with('task').as(
    db
      .select()
      .from(tasks)
      .where(and(mine, eq(tasks.title, 'no such title'))),
  )
  const lateral = db
    .select({ id: tasks.id, at: sql`${tasks.created_at}`.mapWith(tasks.created_at).as('at') })
    .from(tasks)
    .where(mine)
    .as('task')
  const always = sql`true`
  const queries = {
    'of one table': db.select().from(tasks).where(mine),
    'with what was joined': db.with(of, found).select().from(of).leftJoin(found, always),
    'with nothing that was joined': db
      .with(of, missing)
      .select()
      .from(of)
      .leftJoin(missing, always),
    'where what is joined has to be there': db
      .with(of, found)
      .select()
      .from(of)
      .innerJoin(found, always),
    'with an expression': db.with(of).select().from(of).leftJoinLateral(lateral, always),
    'of several tables in one object': db
      .select({ both: { email: users.email, last: userChanges.last, title: tasks.title } })
      .from(users)
      .leftJoin(userChanges, eq(userChanges.user_id, users.id))
      .leftJoin(tasks, eq(tasks.title, 'no such title'))
      .where(eq(users.id, sql.placeholder('user'))),
    'by an encoded value': db
      .select({ id: tasks.id, last: userChanges.last })
      .from(tasks)
      .innerJoin(userChanges, eq(userChanges.user_id, tasks.user_id))
      .where(and(mine, eq(tasks.created_at, sql.placeholder('created')))),
    'of no row': db
      .select()
      .from(tasks)
      .where(and(mine, eq(tasks.title, 'no such title'))),
  }
  const values = { user: owner.id, created: kept[0]?.created_at }

  for (const [name, query] of Object.entries(queries)) {
    const expected = await query.prepare('drizzle').execute(values)
    const rows = await prepareStatement(db, () => query).execute(values)
    expect({ name, rows }).toEqual({ name, rows: expected as typeof rows })
    expect(JSON.stringify(rows)).toBe(JSON.stringify(expected))
  }
  const [full, empty] = await prepareStatement(db, () => queries['of one table']).execute(values)
  expect({ full, empty }).toMatchObject({
    full: {
      tags: ['plain', 'in "quotes"', 'back\\slash', ''],
      created_at: '2026-01-02T03:04:05.000Z',
      updated_at: '2026-01-02T03:04:05.600Z',
      due_at: '2026-01-02T03:04:05.060Z',
    },
    empty: { tags: [], description: null, due_at: null },
  })
})

test('a statement without one of its values is not sent', async () => {
  const { db } = await database()
  const statement = prepareStatement(db, () =>
    db
      .select()
      .from(tasks)
      .where(eq(tasks.user_id, sql.placeholder('user'))),
  )

  await expect(statement.execute({})).rejects.toThrow('the statement has no value for user')
})

test('a statement that writes or locks is refused as a quick read', async () => {
  const { db } = await database()
  const gone = db
    .delete(users)
    .where(eq(users.id, sql.placeholder('user')))
    .returning()
  const locked = db.select().from(users).for('update')

  for (const query of [gone, locked])
    expect(() => prepareStatement(db, () => query, { isQuickRead: true }).execute({})).toThrow(
      'cannot be a quick read',
    )
})
