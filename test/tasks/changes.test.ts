import { afterEach, describe, expect, test } from 'bun:test'
import { purgeExpired } from '../../src/maintenance/purge.ts'
import { at, database, pass, realTime, type Someone, service } from '../support/service.ts'
import { importAll, type Random, randomOf, type Task, walk } from '../support/walk-pages.ts'

afterEach(realTime)

const day = 86_400_000
const long = { JWT_TTL_SECONDS: '2592000', SESSION_MAX_DAYS: '3650' }

type Change = { op: 'upsert'; task: Task } | { op: 'delete'; id: string; deleted_at: string }
type Page = { changes: Change[]; next: string; has_more: boolean }

const path = '/api/tasks/changes'
const read = async (
  { call }: Pick<Someone, 'call'>,
  since?: string,
  limit = 200,
): Promise<Page> => {
  const query = since === undefined ? '' : `&since=${since}`
  const { status, body } = await call('GET', `${path}?limit=${limit}${query}`)
  expect(status).toBe(200)
  return body
}

/** A client that keeps a copy: it applies each change, and stores the last token. */
const copyOf = (person: Pick<Someone, 'call'>) => {
  const tasks = new Map<string, Task>()
  let since: string | undefined
  const apply = (change: Change) => {
    if (change.op === 'delete') return void tasks.delete(change.id)
    const known = tasks.get(change.task.id)
    // A later change never has an earlier version.
    expect(change.task.version).toBeGreaterThanOrEqual(known?.version ?? 0)
    tasks.set(change.task.id, change.task)
  }
  return {
    tasks,
    since: () => since,
    /** Reads all pages; returns the ids of the changes. */
    async refresh(limit = 200) {
      const seen: string[] = []
      for (;;) {
        // Lets other requests run, as the network between two requests would.
        await new Promise(setImmediate)
        const page: Page = await read(person, since, limit)
        page.changes.forEach(apply)
        seen.push(...page.changes.map((one) => (one.op === 'upsert' ? one.task.id : one.id)))
        since = page.next
        if (!page.has_more) return seen
      }
    },
  }
}

const owner = async (titles: string[] = ['a', 'b', 'c']) => {
  const here = await service(long)
  const ada = await here.someone()
  const tasks: Task[] = []
  for (const title of titles) tasks.push((await ada.call('POST', '/api/tasks', { title })).body)
  return { here, ada, call: ada.call, tasks, ids: tasks.map(({ id }) => id) }
}

describe('a request that waits', () => {
  const waiting = async () => {
    const { here, ada, call } = await owner(['a'])
    const { next } = await read(ada)
    const wait = (seconds: number | string, headers = {}, since = next) => {
      const query = since === '' ? '' : `&since=${since}`
      return call('GET', `${path}?wait=${seconds}${query}`, undefined, headers)
    }
    return { here, call, next, wait }
  }

  test('responds with the next change', async () => {
    const { call, wait } = await waiting()
    const answer = wait(30)
    await Bun.sleep(20)
    const { body: task } = await call('POST', '/api/tasks', { title: 'b' })
    expect((await answer).body.changes).toEqual([{ op: 'upsert', task }])
  })

  test('responds at once if there is a change, and without one when the time has passed', async () => {
    const { wait, next } = await waiting()
    expect((await wait(30, {}, '')).body.changes).toHaveLength(1)
    expect((await wait(0)).body).toEqual({ changes: [], next, has_more: false })
    const startedAt = performance.now()
    expect((await wait(1)).body).toEqual({ changes: [], next, has_more: false })
    expect(performance.now() - startedAt).toBeGreaterThan(990)
  })

  test('waits too if its response would be 304', async () => {
    const { call, wait } = await waiting()
    const { headers } = await wait(0)
    const matching = { 'if-none-match': `${headers.get('etag')}` }
    expect((await wait(1, matching)).status).toBe(304)
    const answer = wait(30, matching)
    await Bun.sleep(20)
    await call('POST', '/api/tasks', { title: 'b' })
    expect((await answer).status).toBe(200)
  })

  test('is 401 if the session ends meanwhile', async () => {
    const { call, wait } = await waiting()
    const answer = wait(30)
    await Bun.sleep(20)
    await call('POST', '/api/auth/logout')
    expect((await answer).body.code).toBe('unauthenticated')
  })

  test('responds when the process stops', async () => {
    const { here, wait, next } = await waiting()
    const answer = wait(30)
    await Bun.sleep(20)
    here.stopping.abort()
    expect((await answer).body.next).toBe(next)
    expect((await wait(30)).status).toBe(200)
  })

  test.each(['-1', '31', '1.5', 'x', ''])('of %p seconds is refused', async (seconds) => {
    const { wait } = await waiting()
    const { status, body } = await wait(seconds)
    expect([status, body.errors[0].pointer]).toEqual([422, '/wait'])
  })
})

describe('changes', () => {
  test('start with all live tasks, in the order of their last change', async () => {
    const { ada, call, ids, tasks } = await owner(['a', 'b', 'c', 'd'])
    const [a = '', b = ''] = ids
    await call('DELETE', `/api/tasks/${b}`)
    const { body: changed } = await call('PATCH', `/api/tasks/${a}`, { title: 'A' })

    const { changes, has_more, next } = await read(ada)

    expect(has_more).toBe(false)
    expect(next).toEqual(expect.any(String))
    expect(changes).toEqual(
      [tasks[2], tasks[3], changed].map((task) => ({ op: 'upsert', task: task as Task })),
    )
    expect((await read(ada, next)).changes).toEqual([])
  })

  test('are empty for a user without tasks, until the first task', async () => {
    const { ada, call } = await owner([])
    const { changes, has_more, next } = await read(ada)
    expect([changes, has_more]).toEqual([[], false])
    const { body: task } = await call('POST', '/api/tasks', { title: 'x' })
    expect((await read(ada, next)).changes).toEqual([{ op: 'upsert', task }])
  })

  test('of a snapshot over several pages have no deletions from before it', async () => {
    const { ada, call, ids } = await owner(['a', 'b', 'c', 'd', 'e'])
    for (const id of [ids[1], ids[3]]) await call('DELETE', `/api/tasks/${id}`)
    await call('DELETE', `/api/tasks/trash/${ids[1]}`)
    const ops: string[] = []
    for (let page = await read(ada, undefined, 1); ; page = await read(ada, page.next, 1)) {
      ops.push(...page.changes.map(({ op }) => op))
      if (!page.has_more) break
    }
    expect(ops).toEqual(['upsert', 'upsert', 'upsert'])
  })

  test('contain each task once, in its current state, in the order of the last changes', async () => {
    const { ada, call, ids } = await owner()
    const { next } = await read(ada)
    const [a = '', b = '', c = ''] = ids
    for (const [id, title] of [
      [a, 'x'],
      [b, 'x'],
      [c, 'x'],
      [b, 'y'],
      [a, 'z'],
    ] as const)
      await call('PATCH', `/api/tasks/${id}`, { title })

    const { changes, has_more } = await read(ada, next)

    const titles = changes.map((one) => one.op === 'upsert' && [one.task.id, one.task.title])
    expect([titles, has_more]).toEqual([
      [
        [c, 'x'],
        [b, 'y'],
        [a, 'z'],
      ],
      false,
    ])
    expect((await read(ada, next)).changes).toEqual(changes)
  })

  test('contain deletions with their time, restored tasks, and erased tasks as deleted', async () => {
    const { ada, call, ids } = await owner()
    const { next } = await read(ada)
    const [a = '', b = '', c = ''] = ids
    for (const id of ids) await call('DELETE', `/api/tasks/${id}`)
    const { body: trash } = await call('GET', '/api/tasks/trash')
    const deletion = (id: string) => ({
      op: 'delete',
      id,
      deleted_at: trash.tasks.find((task: Task) => task.id === id).deleted_at,
    })

    expect((await read(ada, next)).changes).toEqual([a, b, c].map(deletion) as Change[])
    await call('DELETE', `/api/tasks/trash/${a}`)
    const { body: task } = await call('POST', `/api/tasks/${b}/restore`)
    const after = await read(ada, next)
    expect(after.changes).toEqual([deletion(a), deletion(c), { op: 'upsert', task }] as Change[])
    await call('DELETE', '/api/tasks/trash')
    expect((await read(ada, next)).changes).toEqual(after.changes)
    expect((await read(ada, after.next)).changes).toEqual([])
    expect((await read(ada)).changes).toEqual([{ op: 'upsert', task }])
  })

  test('do not contain tasks whose writes were refused', async () => {
    const { ada, call, ids } = await owner()
    const { next } = await read(ada)
    await call('PATCH', `/api/tasks/${ids[0]}`, { title: 'x' }, { 'if-match': '"9"' })
    await call('DELETE', `/api/tasks/${Bun.randomUUIDv7()}`)
    await call('POST', '/api/tasks/batch', { create: [{ title: 'x' }], delete: ['x'] })
    await call('POST', '/api/tasks/import?dry_run=true', { tasks: [{ title: 'x' }] })

    expect((await read(ada, next)).changes).toEqual([])
  })

  test('of one batch or import are paged one by one', async () => {
    const { ada, call } = await owner([])
    await importAll(
      ada,
      Array.from({ length: 30 }, (_, n) => ({ title: `${n}` })),
    )
    const copy = copyOf(ada)
    const first = await copy.refresh(7)
    expect([first.length, new Set(first).size]).toEqual([30, 30])

    const ids = [...copy.tasks.keys()]
    await call('POST', '/api/tasks/batch', {
      create: [{ title: 'x' }, { title: 'y' }],
      update: ids.slice(0, 10).map((id) => ({ id, title: 'changed' })),
      delete: ids.slice(10, 20),
    })
    const second = await copy.refresh(1)
    expect([second.length, new Set(second).size]).toEqual([22, 22])
    const all = (await walk(ada, '/api/tasks?limit=200')).flat()
    expect(copy.tasks).toEqual(new Map(all.map((task) => [task.id, task])))
  })

  test('have 50 per page by default, and has_more is true until the last page', async () => {
    const { ada, call } = await owner([])
    await importAll(
      ada,
      Array.from({ length: 100 }, (_, n) => ({ title: `${n}` })),
    )

    const { body: one } = await call('GET', path)
    const { body: two } = await call('GET', `${path}?since=${one.next}`)
    expect([one, two].map(({ changes, has_more }) => [changes.length, has_more])).toEqual([
      [50, true],
      [50, false],
    ])
    for (const query of ['limit=0', 'limit=201', 'since=', 'cursor=x', 'sort=title'])
      expect((await call('GET', `${path}?${query}`)).status).toBe(422)
  })

  test('made during a snapshot are in its later pages or after it, including deletions', async () => {
    const { ada, call } = await owner([])
    await importAll(
      ada,
      Array.from({ length: 40 }, (_, n) => ({ title: `${n}` })),
    )
    const ids = (await walk(ada, '/api/tasks?limit=200'))
      .flat()
      .map(({ id }) => id)
      .sort()
    const copy = new Map<string, Task>()
    let page = await read(ada, undefined, 10)
    let round = 0
    for (;;) {
      for (const one of page.changes)
        if (one.op === 'upsert') copy.set(one.task.id, one.task)
        else copy.delete(one.id)
      if (!page.has_more) break
      const [early, late] = [ids[round], ids[39 - round]]
      await call('DELETE', `/api/tasks/${early}`)
      await call('DELETE', `/api/tasks/${late}`)
      if (round % 2) await call('DELETE', '/api/tasks/trash')
      await call('PATCH', `/api/tasks/${ids[5 + round]}`, { title: 'changed' })
      round += 1
      page = await read(ada, page.next, 10)
    }

    const all = (await walk(ada, '/api/tasks?limit=200')).flat()
    expect(round).toBeGreaterThan(2)
    expect(copy).toEqual(new Map(all.map((task) => [task.id, task])))
  })
})

describe('a changes token', () => {
  test('is 400 if it is of another user, malformed, modified or a cursor', async () => {
    const [one, two] = [await owner(), await owner()]
    const { next } = await read(one.ada)
    const { body } = await one.call('GET', '/api/tasks?limit=1')
    const bytesOfToken = Buffer.from(next, 'base64url')
    const modified = [...bytesOfToken.keys()].map((place) => {
      const bytes = Buffer.from(bytesOfToken)
      bytes[place] = (bytes[place] ?? 0) ^ 1
      return bytes.toString('base64url')
    })

    for (const since of [...modified, 'x', '0', '1', body.next_cursor, `${next}A`, next.slice(1)]) {
      const answer = await one.call('GET', `${path}?since=${since}`)
      expect([since, answer.status, answer.body.code]).toEqual([since, 400, 'malformed-request'])
    }
    expect((await two.call('GET', `${path}?since=${next}`)).status).toBe(400)
    expect((await one.call('GET', `${path}?since=${next}`)).status).toBe(200)
  })

  test('reveals neither tasks nor numbers', async () => {
    const { ada } = await owner(['Canary'])
    const { next } = await read(ada)
    expect(Buffer.from(next, 'base64url').toString('latin1')).not.toMatch(/Canary|number|fresh/)
  })

  test('is the same text while nothing changes, as is the ETag', async () => {
    at('2007-03-01T00:00:00.000Z')
    const here = await service({ ...long, TRASH_DAYS: '7' })
    const ada = await here.someone()
    await ada.call('POST', '/api/tasks', { title: 'a' })
    const get = (query: string, etag = '') =>
      ada.call('GET', `${path}${query}`, undefined, etag ? { 'if-none-match': etag } : {})
    const first = await get('')
    const { next } = first.body
    const unchanged = await get(`?since=${next}`)
    expect(unchanged.body).toEqual({ changes: [], next, has_more: false })
    pass(3 * day)
    const later = await get(`?since=${next}`)
    expect([later.body.next, later.headers.get('etag')]).toEqual([
      next,
      unchanged.headers.get('etag'),
    ])
    const etag = `${later.headers.get('etag')}`
    const unmodified = await get(`?since=${next}`, etag)
    expect([unmodified.status, unmodified.text, unmodified.headers.get('etag')]).toEqual([
      304,
      '',
      etag,
    ])
    // In the second half of its validity it is renewed.
    pass(day)
    const renewed = (await get(`?since=${next}`, etag)).body.next
    expect(renewed).not.toBe(next)

    await ada.call('POST', '/api/tasks', { title: 'b' })
    const changed = await get(`?since=${renewed}`, etag)
    expect([changed.status, changed.body.changes.length]).toEqual([200, 1])
    expect(changed.headers.get('etag')).not.toBe(etag)
    expect((await get('', `${first.headers.get('etag')}`)).status).toBe(200)
  })

  test('is 410 if it is older than TRASH_DAYS, and not before', async () => {
    at('2007-01-01T00:00:00.000Z')
    const here = await service({ ...long, TRASH_DAYS: '7' })
    const ada = await here.someone()
    const { next } = await read(ada)

    pass(7 * day)
    const { next: renewed } = await read(ada, next)
    pass(1)
    const { status, body } = await ada.call('GET', `${path}?since=${next}`)
    expect([status, body.code]).toEqual([410, 'sync-expired'])
    pass(7 * day - 1)
    expect((await read(ada, renewed)).changes).toEqual([])
  })

  test('in the middle of a snapshot is as old as the snapshot', async () => {
    at('2007-06-01T00:00:00.000Z')
    const here = await service({ ...long, TRASH_DAYS: '7' })
    const ada = await here.someone()
    await importAll(
      ada,
      Array.from({ length: 10 }, (_, n) => ({ title: `${n}` })),
    )
    const first = await read(ada, undefined, 2)
    pass(4 * day)
    const second = await read(ada, first.next, 2)
    pass(4 * day)
    expect((await ada.call('GET', `${path}?since=${second.next}`)).status).toBe(410)
  })

  test('that is still valid finds each deletion after maintenance has erased the trash', async () => {
    at('2008-01-01T00:00:00.000Z')
    const here = await service({ ...long, TRASH_DAYS: '7' })
    const ada = await here.someone()
    const { body: task } = await ada.call('POST', '/api/tasks', { title: 'x' })
    const { db } = await database()
    const copy = copyOf(ada)
    await copy.refresh()
    await ada.call('DELETE', `/api/tasks/${task.id}`)
    await ada.call('DELETE', '/api/tasks/trash')

    pass(7 * day)
    await purgeExpired(db, 7)
    expect(await copy.refresh()).toEqual([task.id])
    expect(copy.tasks.size).toBe(0)
  })
})

/** One write of any kind; `mine` are the ids that this writer created. */
const write = async ({ call }: Someone, random: Random, mine: string[]) => {
  const id = random.of([...mine, 'none'])
  const title = `${random.below(1000)}`
  const keep = (tasks: Task[]) => void mine.push(...tasks.map((task) => task.id))
  const kinds: (() => Promise<unknown>)[] = [
    async () => keep([(await call('POST', '/api/tasks', { title })).body]),
    async () => keep([(await call('POST', '/api/tasks', { title })).body]),
    () => call('PATCH', `/api/tasks/${id}`, { title }),
    () => call('PUT', `/api/tasks/${id}`, { title, completed: true }),
    () => call('PATCH', `/api/tasks/${id}/complete`),
    () => call('DELETE', `/api/tasks/${id}`),
    () => call('POST', `/api/tasks/${id}/restore`),
    () => call('DELETE', random.chance(20) ? '/api/tasks/trash' : `/api/tasks/trash/${id}`),
    async () => {
      const [one, other] = [random.of([...mine, id]), random.of([...mine, id])]
      const create = [{ title }, { title }]
      const update = one === 'none' ? [] : [{ id: one, title }]
      const gone = other === 'none' || other === one ? [] : [other]
      const { status, body } = await call('POST', '/api/tasks/batch', {
        create,
        update,
        delete: gone,
      })
      if (status === 200) keep(body.created)
    },
    () => call('POST', '/api/tasks/import', { tasks: [{ title }, { title }] }),
  ]
  await random.of(kinds)()
}

describe('a copy of the changes', () => {
  const writers = 12
  const writesEach = 60

  test(`equals the list after ${writers} concurrent writers, and contains each earlier write`, async () => {
    const ada = await (await service(long)).someone()
    const random = randomOf(2026)
    const copies = [copyOf(ada), copyOf(ada)]
    let writing = writers
    const work = Promise.all(
      Array.from({ length: writers }, async (_, n) => {
        const mine: string[] = []
        const own = randomOf(100 + n)
        try {
          for (let round = 0; round < writesEach; round++) await write(ada, own, mine)
        } finally {
          writing -= 1
        }
      }),
    )
    const readers = copies.map(async (copy) => {
      let rounds = 0
      while (writing > 0) {
        // A task that was created before the reading began is in the copy when it ends.
        const { body: task } = await ada.call('POST', '/api/tasks', { title: 'created before' })
        await copy.refresh(random.of([50, 200]))
        expect(copy.tasks.get(task.id)).toEqual(task)
        rounds += 1
      }
      return rounds
    })

    const rounds = await Promise.all([...readers, work.then(() => 0)])
    for (const copy of copies) await copy.refresh()

    const all = (await walk(ada, '/api/tasks?limit=200')).flat()
    const expected = new Map(all.map((task) => [task.id, task]))
    for (const copy of copies) expect(copy.tasks).toEqual(expected)
    const fresh = copyOf(ada)
    await fresh.refresh(9)
    expect(fresh.tasks).toEqual(expected)
    expect(Math.min(...rounds.slice(0, 2))).toBeGreaterThan(0)
    expect(all.length).toBeGreaterThan(100)
  }, 240_000)
})
