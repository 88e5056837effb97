import { describe, expect, test } from 'bun:test'
import { eq, sql } from 'drizzle-orm'
import { deleteRows, inBatches } from '../../src/db/batches.ts'
import { DatabaseUnavailable } from '../../src/db/errors.ts'
import { idempotencyKeys } from '../../src/db/schema.ts'
import { database, service } from '../support/service.ts'

/** A table with so many rows, of which each takes some time to delete. */
const tableOf = (count: number, msPerRow: number, deadlineMs = Number.POSITIVE_INFINITY) => {
  let left = count
  const sizes: number[] = []
  const deleteSome = async (rowsMax: number) => {
    sizes.push(rowsMax)
    const deleted = Math.min(left, rowsMax)
    const ms = deleted * msPerRow
    if (ms > deadlineMs) throw new DatabaseUnavailable('deadline')
    const until = performance.now() + ms
    while (performance.now() < until);
    left -= deleted
    return deleted
  }
  return { deleteSome, sizes, left: () => left }
}
const noPause = async () => {}

describe('a deletion in batches', () => {
  test('is repeated until no row is left, with more rows while it is quick', async () => {
    const { deleteSome, sizes, left } = tableOf(60_000, 0)
    expect(await inBatches(deleteSome, noPause)).toBe(60_000)
    expect(left()).toBe(0)
    expect(sizes.slice(0, 6)).toEqual([1000, 2000, 4000, 8000, 16_000, 20_000])
  })

  test('has fewer rows while it is slow', async () => {
    const { deleteSome, sizes } = tableOf(2000, 0.4)
    expect(await inBatches(deleteSome, noPause)).toBe(2000)
    expect(sizes[0]).toBe(1000)
    for (const size of sizes.slice(1)) expect(size).toBeLessThan(500)
  })

  test('ends although its first statements take longer than their deadline', async () => {
    const { deleteSome, sizes } = tableOf(1000, 0.2, 20)
    expect(await inBatches(deleteSome, noPause)).toBe(1000)
    expect(sizes.slice(0, 3)).toEqual([1000, 250, 63])
  })

  test('ends with the error of a database that is down, or that cannot delete ten rows in time', async () => {
    const failing = (code: string) => async () => {
      throw new DatabaseUnavailable(code)
    }
    for (const code of ['57P03', 'deadline'])
      await expect(inBatches(failing(code), noPause)).rejects.toThrow(DatabaseUnavailable)
  })

  test('leaves most of the time to others', async () => {
    const pauses: number[] = []
    const { deleteSome } = tableOf(1500, 0.02)
    await inBatches(deleteSome, async (ms) => void pauses.push(ms))
    expect(pauses).toHaveLength(1)
    expect(pauses[0]).toBeGreaterThanOrEqual(4 * 19)
  })
})

test('expired rows of a table are deleted, more than one statement deletes, and no others', async () => {
  const { id } = await (await service()).someone()
  const { db } = await database()
  await db.execute(sql`insert into idempotency_keys (user_id, route, key, fingerprint, body, expires_at)
    select ${id}::uuid, 'r', n::text, 'f', '{}', case when n <= 2500 then '2001-01-01'::timestamptz else '2001-01-03' end
    from generate_series(1, 2510) n`)
  const isOld = sql`${idempotencyKeys.expires_at} < '2001-01-02'`
  expect(await deleteRows(db, idempotencyKeys, isOld)).toBe(2500)
  const left = await db.select().from(idempotencyKeys).where(eq(idempotencyKeys.user_id, id))
  expect(left).toHaveLength(10)
})
