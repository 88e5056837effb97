import { beforeAll, describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { database, type Someone, sentBy, service } from '../support/service.ts'
import { search, sorts } from '../support/walk-pages.ts'

const total = 100_000
const page = 50

/** A pseudo-random column value for row `n`, independent of the other columns. */
const mixed = (column: number, below: number) =>
  sql.raw(`abs(hashint8(n + ${column} * 1000003) % ${below})`)

/** Inserted directly: an import of as many rows takes longer than all tests of this file. */
const seed = async (userId: string) => {
  const { db } = await database()
  for (let from = 1; from <= total; from += 10_000)
    await db.execute(sql`
      insert into tasks (user_id, id, title, completed, completed_at, priority, due_at, tags,
        created_at, updated_at, deleted_at, change)
      select ${userId}::uuid, gen_random_uuid(), md5(n::text), ${mixed(1, 10)} = 0,
        case when ${mixed(1, 10)} = 0 then timestamptz '2026-02-01' end,
        (enum_range(null::priority))[1 + ${mixed(2, 4)}],
        case when ${mixed(3, 2)} = 0
          then timestamptz '2026-03-01' + ${mixed(4, 100_000)} * interval '1 min' end,
        case when ${mixed(5, 5)} = 0 then '{home}'::text[] else '{}' end,
        timestamptz '2026-01-01' + ${mixed(6, 100_000)} * interval '1 second',
        timestamptz '2026-01-01' + ${mixed(7, 100_000)} * interval '1 second',
        case when n % 100 = 0 then timestamptz '2026-02-01' + n * interval '1 second' end, n
      from generate_series(${from}::bigint, ${from + 9999}::bigint) as n`)
  await db.execute(sql`update user_changes set last = ${total} where user_id = ${userId}`)
}

/** Many users with one task each, so that the estimates of PostgreSQL are wrong for the large user. */
const crowd = async () => {
  const { db } = await database()
  await db.execute(sql`
    with person as (
      insert into users (id, email, password_hash, created_at)
      select gen_random_uuid(), gen_random_uuid()::text, '', now() from generate_series(1, 4000)
      returning id)
    insert into tasks (user_id, id, title, created_at, updated_at, change)
    select id, gen_random_uuid(), 'a title', now(), now(), 1 from person`)
}

type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: Plan[]
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

/** The plan of a statement as the service sends it, custom or generic. */
const explain = async (
  { statement, params }: { statement: string; params: unknown[] },
  mode: 'force_custom_plan' | 'force_generic_plan',
) => {
  const { db } = await database()
  // Sequential statements use one connection.
  const run = (text: string) => db.execute(sql.raw(text)) as Promise<unknown>
  const name = `plan_${Bun.randomUUIDv7().replaceAll('-', '')}`
  const values = params.map((value) =>
    value === null ? 'null' : `'${String(value).replaceAll("'", "''")}'`,
  )
  await run(`set plan_cache_mode = ${mode}`)
  await run(`prepare ${name} as ${statement}`)
  try {
    const said = await run(`explain (analyze, format json) execute ${name}(${values})`)
    const [row] = Array.isArray(said) ? said : (said as { rows: unknown[] }).rows
    const found = (row as Record<string, string | [{ Plan: Plan }]>)['QUERY PLAN']
    const [{ Plan: plan }] = typeof found === 'string' ? JSON.parse(found) : found
    return nodesOf(plan)
  } finally {
    await run(`deallocate ${name}`)
    await run('reset plan_cache_mode')
  }
}

/** The indexes that a plan uses, the rows that it reads and discards, and what it sorts. */
const readingOf = (nodes: Plan[]) => {
  const scans = nodes.filter((node) => 'Relation Name' in node || 'Index Name' in node)
  const scansOf = (name: string) =>
    scans.filter((node) => `${node['Index Name']} ${node['Relation Name']}`.includes(name))
  const tasks = scansOf('tasks')
  const sum = (values: number[]) => values.reduce((one, other) => one + other, 0)
  return {
    scans: tasks.map((node) => `${node['Node Type']} ${node['Index Name']}`),
    rows: sum(tasks.map((node) => node['Actual Rows'] * node['Actual Loops'])),
    skipped: sum(
      tasks.map(
        (node) =>
          (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0),
      ),
    ),
    sortedRows: nodes
      .filter((node) => /Sort/.test(node['Node Type']))
      .map((node) => node['Actual Rows']),
  }
}

const modes = ['force_custom_plan', 'force_generic_plan'] as const
const indexOf = (sort: string) =>
  sort === '-due_at'
    ? 'tasks_by_due_desc'
    : `tasks_by_${sort.replace('-', '').replace('due_at', 'due')}`

let ada: Someone
const prepare = async () => {
  ada = await (await service()).someone()
  const { db, kind } = await database()
  // No ANALYZE may run meanwhile. PGlite has no autovacuum and analyses by a timer.
  if (kind === 'postgres') await db.execute(sql`alter table tasks set (autovacuum_enabled = false)`)
  await crowd()
  await seed(ada.id)
}
const analyze = async () => void (await (await database()).db.execute(sql`analyze tasks`))

/** The statements of the first page and of a later one. */
const pages = async (path: string, count = 2) => {
  const sent: { statement: string; params: unknown[] }[] = []
  let cursor = ''
  for (let n = 0; n < count; n++) {
    sent.push(
      ...(await sentBy(async () => {
        const { status, body } = await ada.call('GET', `${path}${cursor}`)
        expect([status, body.tasks.length]).toEqual([200, page])
        cursor = `&cursor=${body.next_cursor}`
      })),
    )
  }
  expect(sent).toHaveLength(count)
  return sent
}

/** Statistics from before the 100 000 rows: PostgreSQL expects very few tasks per user. */
const comeAfterStatistics = async () => {
  const { db } = await database()
  await db.execute(sql`delete from tasks where user_id = ${ada.id}`)
  await db.execute(sql`vacuum analyze tasks`)
  await seed(ada.id)
}

const statistics = { no: prepare, old: comeAfterStatistics, new: analyze }
type State = keyof typeof statistics

describe.each<State>(['no', 'old', 'new'])('of 100 000 tasks, with %s statistics,', (state) => {
  beforeAll(() => statistics[state](), 120_000)

  test.each([...sorts])(
    'a page by %s reads one row more than it has, by its index',
    async (sort) => {
      for (const statement of await pages(`/api/tasks?sort=${sort}&limit=${page}`, 3))
        for (const mode of modes) {
          const read = readingOf(await explain(statement, mode))

          expect([mode, read]).toEqual([
            mode,
            { scans: [`Index Scan ${indexOf(sort)}`], rows: page + 1, skipped: 0, sortedRows: [] },
          ])
        }
    },
  )

  test('one task reads one row, by the primary key', async () => {
    const { body } = await ada.call('GET', '/api/tasks?limit=1')
    const path = `/api/tasks/${body.tasks[0].id}`
    const other = { 'if-match': '"9"' }
    const sent = await sentBy(async () => {
      await ada.call('GET', path)
      await ada.call('PUT', path, { title: 'x', completed: false }, other)
      await ada.call('PATCH', path, { title: 'x' }, other)
      await ada.call('PATCH', `${path}/complete`, undefined, other)
      const once = { ...other, 'idempotency-key': Bun.randomUUIDv7() }
      await ada.call('PATCH', `${path}/complete`, undefined, once)
      await ada.call('DELETE', path, undefined, other)
      await ada.call('POST', `${path}/restore`)
      await ada.call('DELETE', path.replace('/tasks', '/tasks/trash'))
    })

    expect(sent).toHaveLength(8)
    for (const statement of sent)
      for (const mode of modes) {
        const { scans, rows, skipped } = readingOf(await explain(statement, mode))
        const read = scans.filter((scan) => !scan.startsWith('ModifyTable'))
        for (const scan of read) expect(scan).toMatch(/tasks_user_id_id_pk|Bitmap Heap/)
        expect(skipped).toBeLessThanOrEqual(1)
        expect(rows).toBeLessThanOrEqual(4)
      }
  })
})

// Without statistics, PostgreSQL may read and sort all rows that a filter finds.
describe('with 100 000 tasks and statistics,', () => {
  test('a page of the trash reads its rows and one more, by its index', async () => {
    for (const statement of await pages(`/api/tasks/trash?limit=${page}`, 3))
      for (const mode of modes)
        expect(readingOf(await explain(statement, mode))).toEqual({
          scans: ['Index Scan tasks_in_trash'],
          rows: page + 1,
          skipped: 0,
          sortedRows: [],
        })
  })

  test('a page of an export reads 500 rows, by the primary key', async () => {
    const sent = await sentBy(async () => {
      const request = new Request('http://localhost/api/tasks/export?format=ndjson', {
        headers: { authorization: `Bearer ${ada.token}` },
      })
      const reader = (await (await service()).app.fetch(request)).body?.getReader()
      for (let n = 0; n < 3; n++) await reader?.read()
      await reader?.cancel()
    })

    expect(sent.length).toBeGreaterThan(1)
    for (const statement of sent)
      for (const mode of modes) {
        const { scans, rows, skipped } = readingOf(await explain(statement, mode))
        expect([scans, rows]).toEqual([['Index Scan tasks_user_id_id_pk'], 500])
        expect(skipped).toBeLessThan(50)
      }
  })

  test('counts read no task, only an index', async () => {
    // Alone with nearly all tasks of the table, a user may be better served by reading the table.
    await seed((await (await service()).someone()).id)
    const { body: list } = await ada.call('POST', '/api/lists', { name: 'x' })
    const { db } = await database()
    await db.execute(sql`
      update tasks set list_id = ${list.id}::uuid where user_id = ${ada.id} and change % 3 = 0`)
    await db.execute(sql`vacuum analyze tasks`)
    for (const path of ['/api/tasks/counts', '/api/lists', `/api/lists/${list.id}`]) {
      const [statement] = await sentBy(async () => {
        expect((await ada.call('GET', path)).status).toBe(200)
      })

      for (const mode of modes) {
        const { scans, skipped } = readingOf(await explain(statement!, mode))
        expect(scans.length).toBeGreaterThan(0)
        for (const scan of scans)
          expect([path, mode, scan]).toEqual([
            path,
            mode,
            expect.stringMatching(/^Index Only Scan/),
          ])
        expect(skipped).toBe(0)
      }
    }
  })

  test('a batch reads its own rows, by the primary key', async () => {
    const { body } = await ada.call('GET', '/api/tasks?limit=3')
    const [one, two, three] = body.tasks.map(({ id }: { id: string }) => id)
    const [statement] = await sentBy(async () => {
      const { status } = await ada.call('POST', '/api/tasks/batch', {
        update: [{ id: one, title: 'x' }],
        complete: [{ id: two }],
        delete: [three],
      })
      expect(status).toBe(200)
    })

    for (const mode of modes) {
      const { scans, rows, skipped } = readingOf(await explain(statement!, mode))
      const read = scans.filter((scan) => !scan.startsWith('ModifyTable'))
      for (const scan of read) expect(scan).toMatch(/tasks_user_id_id_pk|Bitmap Heap/)
      expect(rows).toBeLessThanOrEqual(9)
      expect(skipped).toBeLessThanOrEqual(3)
    }
  })

  test('a page of changes reads its rows and one more, by its index', async () => {
    const sent = await sentBy(async () => {
      const { body } = await ada.call('GET', `/api/tasks/changes?limit=${page}`)
      const next = await ada.call('GET', `/api/tasks/changes?limit=${page}&since=${body.next}`)
      expect([next.body.changes.length, next.body.has_more]).toEqual([page, true])
    })

    for (const statement of sent)
      for (const mode of modes) {
        const { scans, rows, skipped, sortedRows } = readingOf(await explain(statement, mode))
        expect(scans.filter((scan) => scan.endsWith(' tasks_by_change'))).toHaveLength(1)
        expect(rows + skipped).toBeLessThan(page + 5)
        for (const count of sortedRows) expect(count).toBeLessThanOrEqual(page + 1)
      }
  })

  test.each([
    [{ completed: 'true' }, 10],
    [{ completed: 'false', priority: 'high' }, 5],
    [{ tag: 'home' }, 5],
    [{ q: '99' }, 10],
    [{ due_after: '2026-03-20T00:00:00.000Z' }, 4],
    [{ updated_after: '2026-01-01T12:00:00.000Z' }, 4],
  ] as const)('a page of %j reads what it has and what the filter skips', async (filter, share) => {
    for (const sort of sorts)
      for (const statement of await pages(
        `/api/tasks?${search({ ...filter, sort, limit: page })}`,
      )) {
        const read = readingOf(await explain(statement, 'force_custom_plan'))

        expect([sort, read]).toEqual([
          sort,
          {
            scans: [`Index Scan ${indexOf(sort)}`],
            rows: page + 1,
            skipped: expect.any(Number),
            sortedRows: [],
          },
        ])
        // If sort and filter correlate, all skipped rows may precede the page.
        const [column = ''] = sort.replace('-', '').split('_')
        if (!Object.keys(filter).some((name) => name.startsWith(column)))
          expect(read.skipped).toBeLessThan((page + 1) * share * 2)
      }
  })
})
