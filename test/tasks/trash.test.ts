import { afterEach, describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import postgres from 'postgres'
import { sessions, taskTombstones } from '../../src/db/schema.ts'
import { purgeExpired } from '../../src/maintenance/purge.ts'
import { purgeTrash } from '../../src/tasks/trash/repository.ts'
import { locks, serverUrl } from '../support/locks.ts'
import {
  at,
  comparable,
  database,
  pass,
  realTime,
  rowsOf,
  type Someone,
  service,
} from '../support/service.ts'
import { importAll, type Task, walk } from '../support/walk-pages.ts'

afterEach(realTime)

const day = 86_400_000
const hour = 3_600_000
const long = { JWT_TTL_SECONDS: '2592000', SESSION_MAX_DAYS: '3650' }

const owner = async (titles: string[] = ['a', 'b', 'c']) => {
  const here = await service(long)
  const ada = await here.someone()
  const ids: string[] = []
  for (const title of titles) ids.push((await ada.call('POST', '/api/tasks', { title })).body.id)
  return { here, ada, call: ada.call, ids }
}

/** Deletes tasks in this order, one second apart. */
const deleteInOrder = async ({ call }: Pick<Someone, 'call'>, ids: string[]) => {
  for (const id of ids) {
    pass(1000)
    expect((await call('DELETE', `/api/tasks/${id}`)).status).toBe(200)
  }
}

const tombstonesOf = async (id: string) => {
  const { db } = await database()
  return db.select().from(taskTombstones).where(eq(taskTombstones.user_id, id))
}
const idsOf = (tasks: Task[]) => tasks.map(({ id }) => id)

describe('the trash', () => {
  test('has deleted tasks unchanged, with the next version and the time of deletion, newest first', async () => {
    const { call, ids } = await owner()
    const before = await Promise.all(
      ids.map(async (id) => (await call('GET', `/api/tasks/${id}`)).body),
    )
    const [a = '', b = '', c = ''] = ids
    await deleteInOrder({ call }, [b, c, a])

    const { status, headers, body } = await call('GET', '/api/tasks/trash')

    expect([status, body.next_cursor, headers.get('link')]).toEqual([200, null, null])
    expect(idsOf(body.tasks)).toEqual([a, c, b])
    for (const task of body.tasks)
      expect(task).toEqual({
        ...before.find(({ id }) => id === task.id),
        version: 2,
        updated_at: task.deleted_at,
        deleted_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      })
    expect((await call('GET', '/api/tasks')).body.tasks).toEqual([])
  })

  test('is paged by cursor and Link, and sorts deletions of the same time by id', async () => {
    const { ada, call } = await owner([])
    await importAll(
      ada,
      Array.from({ length: 25 }, (_, n) => ({ title: `${n}` })),
    )
    const [all = []] = await walk(ada, '/api/tasks?limit=200')
    const ids = idsOf(all).sort()
    for (const some of [ids.slice(0, 12), ids.slice(12)]) {
      pass(1000)
      await call('POST', '/api/tasks/batch', { delete: some })
    }

    const pages = await walk(ada, '/api/tasks/trash?limit=4')
    const { headers } = await call('GET', '/api/tasks/trash?limit=4')

    expect(idsOf(pages.flat())).toEqual(ids.toReversed())
    expect(pages.map(({ length }) => length)).toEqual([4, 4, 4, 4, 4, 4, 1])
    const [, next = ''] =
      /^<(\/api\/tasks\/trash\?limit=4&cursor=[^>&]+)>; rel="next"$/.exec(
        headers.get('link') ?? '',
      ) ?? []
    expect((await call('GET', next)).body.tasks).toEqual(pages[1])
  })

  test.each(['q=x', 'sort=title', 'completed=true', 'tag=a', 'limit=0', 'limit=201'])(
    'accepts limit and cursor only: %s is 422',
    async (query) => {
      const { call } = await owner([])
      expect((await call('GET', `/api/tasks/trash?${query}`)).status).toBe(422)
    },
  )

  test('refuses cursors of a list and of another user', async () => {
    const [one, two] = [await owner(), await owner()]
    await deleteInOrder(one, one.ids.slice(0, 2))
    const trash = (await one.call('GET', '/api/tasks/trash?limit=1')).body.next_cursor
    await one.call('POST', '/api/tasks', { title: 'd' })
    const list = (await one.call('GET', '/api/tasks?limit=1')).body.next_cursor

    expect((await one.call('GET', `/api/tasks/trash?cursor=${trash}`)).status).toBe(200)
    expect((await one.call('GET', `/api/tasks/trash?cursor=${list}`)).status).toBe(400)
    expect((await one.call('GET', `/api/tasks?cursor=${trash}`)).status).toBe(400)
    expect((await two.call('GET', `/api/tasks/trash?cursor=${trash}`)).status).toBe(400)
  })

  test('is private: other users cannot list, restore, erase or empty it', async () => {
    const { here, ada, ids } = await owner()
    await deleteInOrder(ada, ids)
    const eve = await here.someone()
    const before = await rowsOf(ada.id)
    const absent = Bun.randomUUIDv7()

    expect((await eve.call('GET', '/api/tasks/trash')).body.tasks).toEqual([])
    for (const id of ids)
      for (const [method, path] of [
        ['POST', (one: string) => `/api/tasks/${one}/restore`],
        ['DELETE', (one: string) => `/api/tasks/trash/${one}`],
      ] as const) {
        const theirs = await eve.call(method, path(id))
        expect(theirs.status).toBe(404)
        expect(comparable(theirs)).toEqual(comparable(await eve.call(method, path(absent))))
      }
    expect((await eve.call('DELETE', '/api/tasks/trash')).status).toBe(204)
    expect(await rowsOf(ada.id)).toEqual(before)
  })
})

describe('a deleted task', () => {
  test('is the 404 of a missing one on every route, and stays unchanged', async () => {
    const { call, ids, ada } = await owner()
    await deleteInOrder({ call }, ids.slice(0, 1))
    const before = (await rowsOf(ada.id)).tasks

    for (const [method, suffix, body] of [
      ['GET', '', undefined],
      ['HEAD', '', undefined],
      ['PUT', '', { title: 'x', completed: true }],
      ['PATCH', '', { title: 'x' }],
      ['PATCH', '/complete', undefined],
      ['DELETE', '', undefined],
    ] as const) {
      const gone = await call(method, `/api/tasks/${ids[0]}${suffix}`, body)
      expect(gone.status).toBe(404)
      expect(comparable(gone)).toEqual(
        comparable(await call(method, `/api/tasks/${Bun.randomUUIDv7()}${suffix}`, body)),
      )
    }
    pass(1000)
    expect((await call('DELETE', `/api/tasks/${ids[0]}`)).status).toBe(404)
    expect((await rowsOf(ada.id)).tasks).toEqual(before)
  })

  test('is in no list, search, page or export', async () => {
    const { call, ids } = await owner(['milk', 'milk', 'milk'])
    await deleteInOrder({ call }, ids.slice(0, 1))

    for (const query of ['', '?q=milk', '?sort=title', '?completed=false', '?limit=1'])
      for (const page of await walk({ call }, `/api/tasks${query || '?limit=9'}`))
        expect(idsOf(page)).not.toContain(ids[0])
    expect((await call('GET', '/api/tasks/export')).text).not.toContain(ids[0] ?? '')
  })

  test('can be restored once, with all members and a new version', async () => {
    const { call, ids } = await owner()
    const path = `/api/tasks/${ids[0]}`
    await call('PATCH', path, { tags: ['a'], completed: true, description: 'd' })
    const { body: before } = await call('GET', path)
    await deleteInOrder({ call }, ids.slice(0, 1))

    pass(1000)
    const { status, headers, body } = await call('POST', `${path}/restore`)

    expect([status, headers.get('etag')]).toEqual([200, '"4"'])
    expect(body).toEqual({ ...before, version: 4, updated_at: body.updated_at })
    expect(body.updated_at > before.updated_at).toBe(true)
    expect((await call('GET', path)).body).toEqual(body)
    expect((await call('GET', '/api/tasks/trash')).body.tasks).toEqual([])
    expect((await call('GET', '/api/tasks')).body.tasks).toContainEqual(body)
    expect((await call('POST', `${path}/restore`)).status).toBe(404)
  })
})

describe('erasing', () => {
  test('one task removes it permanently, and leaves its id and times', async () => {
    const { call, ids, ada } = await owner()
    const [a = '', b = ''] = ids
    await deleteInOrder({ call }, [a, b])
    const { deleted_at } = (await call('GET', '/api/tasks/trash')).body.tasks[1]

    const { status, text } = await call('DELETE', `/api/tasks/trash/${a}`)

    expect([status, text]).toEqual([204, ''])
    expect(idsOf((await call('GET', '/api/tasks/trash')).body.tasks)).toEqual([b])
    expect((await call('DELETE', `/api/tasks/trash/${a}`)).status).toBe(404)
    expect((await call('POST', `/api/tasks/${a}/restore`)).status).toBe(404)
    expect(await tombstonesOf(ada.id)).toEqual([
      {
        user_id: ada.id,
        id: a,
        deleted_at,
        erased_at: expect.any(String),
        change: expect.any(Number),
      },
    ])
    expect((await rowsOf(ada.id)).tasks).toHaveLength(2)
  })

  test('a live task is 404: it must be deleted first', async () => {
    const { call, ids } = await owner()
    expect((await call('DELETE', `/api/tasks/trash/${ids[0]}`)).status).toBe(404)
    expect((await call('GET', `/api/tasks/${ids[0]}`)).status).toBe(200)
  })

  test('all tasks empties the trash only, and accepts an empty trash', async () => {
    const { call, ids, ada } = await owner()
    await deleteInOrder({ call }, ids.slice(0, 2))

    for (const _ of [1, 2]) expect((await call('DELETE', '/api/tasks/trash')).status).toBe(204)

    expect((await call('GET', '/api/tasks/trash')).body.tasks).toEqual([])
    expect(idsOf((await call('GET', '/api/tasks')).body.tasks)).toEqual(ids.slice(2))
    expect((await tombstonesOf(ada.id)).map(({ id }) => id).sort()).toEqual(ids.slice(0, 2).sort())
  })

  test('and restoring concurrently does one of the two', async () => {
    const { call, ada } = await owner([])
    for (let round = 0; round < 40; round++) {
      const { body } = await call('POST', '/api/tasks', { title: 'x' })
      await call('DELETE', `/api/tasks/${body.id}`)
      const [erased, restored] = await Promise.all([
        call('DELETE', round % 2 ? '/api/tasks/trash' : `/api/tasks/trash/${body.id}`),
        call('POST', `/api/tasks/${body.id}/restore`),
      ])
      const { status } = await call('GET', `/api/tasks/${body.id}`)
      expect([restored.status, status]).toEqual(restored.status === 200 ? [200, 200] : [404, 404])
      if (round % 2 === 0) expect(erased.status).toBe(restored.status === 200 ? 404 : 204)
    }
    const { tasks } = await rowsOf(ada.id)
    expect(tasks.every(({ deleted_at }) => deleted_at === null)).toBe(true)
    expect((await tombstonesOf(ada.id)).length + tasks.length).toBe(40)
  })
})

/* Each test uses its own year, so that maintenance finds only its rows. */
describe('maintenance', () => {
  test('erases tasks that were deleted TRASH_DAYS ago, and no others', async () => {
    at('2001-01-01T00:00:00.000Z')
    const { call, ids, ada } = await owner()
    const [a = '', b = '', c = ''] = ids
    const { db } = await database()
    await call('DELETE', `/api/tasks/${a}`)
    pass(day)
    await call('DELETE', `/api/tasks/${b}`)

    pass(6 * day - 1)
    expect(await purgeExpired(db, 7)).toEqual({ erased_tasks: 0 })
    pass(1)
    expect(await purgeExpired(db, 7)).toEqual({ erased_tasks: 1 })
    expect((await tombstonesOf(ada.id)).map(({ id }) => id)).toEqual([a])
    expect(idsOf((await call('GET', '/api/tasks/trash')).body.tasks)).toEqual([b])
    pass(day)
    expect(await purgeExpired(db, 7)).toEqual({ erased_tasks: 1 })
    expect(idsOf((await call('GET', '/api/tasks')).body.tasks)).toEqual([c])
  })

  test('deletes tombstones TRASH_DAYS and an hour later, not before', async () => {
    at('2002-01-01T00:00:00.000Z')
    const { call, ids, ada } = await owner()
    const { db } = await database()
    await call('DELETE', `/api/tasks/${ids[0]}`)
    await call('DELETE', '/api/tasks/trash')

    pass(7 * day + hour - 1)
    await purgeExpired(db, 7)
    expect(await tombstonesOf(ada.id)).toHaveLength(1)
    pass(1)
    await purgeExpired(db, 7)
    expect(await tombstonesOf(ada.id)).toEqual([])
  })

  test('deletes sessions after their expiry, not before', async () => {
    at('2003-01-01T00:00:00.000Z')
    const { ada } = await owner()
    const { db } = await database()
    // Like a session of an earlier version, or of a personal token.
    await db.update(sessions).set({ refresh_expires_at: null }).where(eq(sessions.user_id, ada.id))

    pass(30 * day - 1)
    await purgeExpired(db, 30)
    expect((await rowsOf(ada.id)).sessions).toHaveLength(1)
    pass(1)
    await purgeExpired(db, 30)
    expect((await rowsOf(ada.id)).sessions).toEqual([])
  })

  test('of eight instances concurrently erases each task once, without an error', async () => {
    at('2004-01-01T00:00:00.000Z')
    const people = await Promise.all([1, 2, 3, 4, 5].map(() => owner([])))
    for (const { ada, call } of people) {
      await importAll(
        ada,
        Array.from({ length: 60 }, (_, n) => ({ title: `${n}` })),
      )
      const [all = []] = await walk(ada, '/api/tasks?limit=200')
      await call('POST', '/api/tasks/batch', { delete: idsOf(all).slice(0, 50) })
    }
    const { db } = await database()
    pass(7 * day)

    const done = await Promise.all(Array.from({ length: 8 }, () => purgeExpired(db, 7)))
    const next = await purgeExpired(db, 7)

    const total = done.reduce((sum, { erased_tasks }) => sum + erased_tasks, 0)
    expect([total, next.erased_tasks]).toEqual([250, 0])
    for (const { ada } of people) {
      expect(await tombstonesOf(ada.id)).toHaveLength(50)
      expect((await rowsOf(ada.id)).tasks).toHaveLength(10)
    }
  })

  test.skipIf(!process.env.TEST_DATABASE_URL)(
    'skips a user whose row another statement locks, until the next run',
    async () => {
      at('2007-01-01T00:00:00.000Z')
      const { ada, call, ids } = await owner(['a'])
      await call('DELETE', `/api/tasks/${ids[0]}`)
      const { db } = await database()
      const before = '2007-01-02T00:00:00.000Z'
      const other = postgres(serverUrl ?? '', { max: 1, onnotice: () => {} })

      await other.begin(async (sql) => {
        await sql`select from user_changes where user_id = ${ada.id} for update`
        await purgeTrash(db, before)
        expect((await rowsOf(ada.id)).tasks).toHaveLength(1)
      })
      await other.end()
      await purgeTrash(db, before)

      expect((await rowsOf(ada.id)).tasks).toEqual([])
    },
  )

  test.skipIf(!process.env.TEST_DATABASE_URL)(
    'erases no task that is restored during the purge',
    async () => {
      at('2008-01-01T00:00:00.000Z')
      const { ada, call, ids } = await owner(['restored', 'old'])
      await deleteInOrder({ call }, ids)
      const { db } = await database()
      const { transaction, waiting, end } = locks()

      const restoring = await transaction()
      await restoring`update tasks set deleted_at = null where user_id = ${ada.id} and id = ${ids[0] ?? ''}`
      const erasing = purgeTrash(db, '2008-01-02T00:00:00.000Z')
      await waiting(1, erasing)
      await restoring`commit`
      await erasing
      await end()

      expect((await rowsOf(ada.id)).tasks.map(({ id }) => id)).toEqual(ids.slice(0, 1))
      expect((await tombstonesOf(ada.id)).map(({ id }) => id)).toEqual(ids.slice(1))
    },
  )

  test('erases more rows than one statement, also of a user with more live tasks', async () => {
    at('2005-01-01T00:00:00.000Z')
    const { ada, call } = await owner([])
    await importAll(
      ada,
      Array.from({ length: 180 }, (_, n) => ({ title: `${n}` })),
    )
    const { db } = await database()
    await db.execute(
      `update tasks set deleted_at = updated_at where user_id = '${ada.id}' and title::int >= 60`,
    )
    pass(7 * day)

    expect(await purgeTrash(db, new Date(Date.now() - 7 * day).toISOString())).toBe(120)
    expect((await call('GET', '/api/tasks/trash')).body.tasks).toEqual([])
    expect(await tombstonesOf(ada.id)).toHaveLength(120)
  })

  test('concurrent with restoring and writing erases no live task', async () => {
    at('2006-01-01T00:00:00.000Z')
    const { ada, call } = await owner([])
    await importAll(
      ada,
      Array.from({ length: 100 }, (_, n) => ({ title: `${n}` })),
    )
    const [all = []] = await walk(ada, '/api/tasks?limit=200')
    await call('POST', '/api/tasks/batch', { delete: idsOf(all) })
    const { db } = await database()
    pass(7 * day)

    const [responses] = await Promise.all([
      Promise.all(idsOf(all).map((id) => call('POST', `/api/tasks/${id}/restore`))),
      ...[1, 2, 3, 4].map(() => purgeExpired(db, 7)),
    ])

    const restored = responses.filter(({ status }) => status === 200).map(({ body }) => body.id)
    const { tasks } = await rowsOf(ada.id)
    const live = tasks.filter(({ deleted_at }) => deleted_at === null).map(({ id }) => id)
    expect(restored.sort()).toEqual(live)
    expect(tasks.length + (await tombstonesOf(ada.id)).length).toBe(100)
  })
})
