import { afterAll, expect, test } from 'bun:test'
import postgres from 'postgres'
import { readMigrations } from '../../src/db/migrations.macro.ts'
import { applyMigrations } from '../../src/db/migrations.ts'

const sql = postgres(process.env.CITUS_URL ?? '', { max: 1, onnotice: () => {} })
afterAll(() => sql.end())

/** As `docs/add-a-field.md` generates it. */
const later = {
  tag: '9999_location',
  when: 4e12,
  hash: 'x',
  statements: [
    'ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "location" text',
    'ALTER TABLE "tasks" ADD CONSTRAINT "tasks_location_length" CHECK (char_length("location") between 1 and 200)',
    'CREATE INDEX IF NOT EXISTS "tasks_by_location" ON "tasks" USING btree ("user_id","location","id")',
    'ALTER TABLE "users" ADD COLUMN IF NOT EXISTS "nickname" text',
    'UPDATE "tasks" SET "location" = \'here\' WHERE "title" = \'nothing has this title\'',
  ],
}

test('a later migration changes distributed tables, and tables that are on all nodes', async () => {
  const undone = new Error('rolled back')
  const migrating = sql.begin(async (tx) => {
    const send = (text: string, params: (string | number)[] = []) =>
      tx.unsafe<Record<string, unknown>[]>(text, params)
    expect(await applyMigrations(send, [...readMigrations(), later])).toEqual([later.tag])
    const [column] = await send(
      `select count(*) from information_schema.columns where column_name in ('location', 'nickname')`,
    )
    expect(Number(column?.count)).toBe(2)
    throw undone
  })
  await expect(migrating).rejects.toThrow(undone)
})
