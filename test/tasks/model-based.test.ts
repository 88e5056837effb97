import { expect, test } from 'bun:test'
import { type Someone, service } from '../support/service.ts'
import {
  listed,
  type Query,
  type Random,
  randomOf,
  search,
  sorts,
  type Task,
  walk,
} from '../support/walk-pages.ts'

/*
 * Compares the service with a model of the contract in memory. Several users send random operations to all task
 * routes, and each response must be the one that the model predicts. SEED repeats a run; FUZZ=1 makes it long.
 */
const isLong = process.env.FUZZ === '1'
const [people, operations] = isLong ? [50, 10_000] : [8, 250]
const tasksMax = 150
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)

const titles = ['milk', 'Milk', 'É', 'é', '50%', 'a_b', 'c\\d', '😀', 'zz', 'Z', "'; --", '"']
const tags = ['home', 'shop', 'a,b', 'c\\d', '"']
const priorities = ['low', 'normal', 'high', 'urgent'] as const
const dues = [
  null,
  '2026-01-01T00:00:00.000Z',
  '2026-06-01T00:00:00.000Z',
  '2027-01-01T12:30:00.500Z',
]

type ModelTask = Task & { deleted_at?: string }
type Change = { op: 'upsert'; task: Task } | { op: 'delete'; id: string }

const duePairs = [
  ...dues.map((due_at) => ({ due_at, due_on: null })),
  ...['2026-06-01', '2027-01-02'].map((due_on) => ({ due_at: null, due_on })),
]
const members = (random: Random) => ({
  description: random.of([null, '', 'some MILK', '100% é']),
  priority: random.of(priorities),
  ...random.of(duePairs),
  tags: tags.filter(() => random.chance(30)),
  reminders: random.of([[], [{ minutes_before: 5 }]]),
})
/** Some of the members; time and day of the due date together, because they exclude each other. */
const some = <Members extends object>(random: Random, all: Members): Partial<Members> => {
  const hasDue = random.chance(50)
  const isChosen = (name: string) => (name.startsWith('due_') ? hasDue : random.chance(50))
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => isChosen(name)),
  ) as Partial<Members>
}
const without = <One extends ModelTask>({ deleted_at: _deleted, ...task }: One): Task => task

/** A user and the model of the user's tasks, updated with each response. */
const personOf = async (person: Someone, others: () => string[], random: Random) => {
  const { call } = person
  const live = new Map<string, ModelTask>()
  const trash = new Map<string, ModelTask>()
  const erased = new Set<string>()
  const copy = new Map<string, Task>()
  let since = ''

  /** Small, medium and large pages, but at most about twenty for a list. */
  const limitFor = (rows: number) => Math.min(200, random.of([1, 5, 200]) + Math.ceil(rows / 20))
  const anyId = () => random.of([...live.keys(), ...trash.keys(), ...erased, ...others(), 'x'])
  /** Mostly an id that the operation accepts. */
  const idFrom = (tasks: Map<string, ModelTask>) =>
    tasks.size > 0 && random.chance(80) ? random.of([...tasks.keys()]) : anyId()
  const matchFor = (task: ModelTask | undefined) => {
    if (random.chance(60)) return { headers: {}, matches: true }
    const version = (task?.version ?? 1) + random.of([0, 0, 0, 1, -1])
    const tag = random.of([`"${version}"`, `"x", "${version}"`, `W/"${version}"`, '*'])
    const matches = tag === '*' || (!tag.startsWith('W') && version === task?.version)
    return { headers: { 'if-match': tag }, matches }
  }
  /** The task after a write of some members. The times are taken from the response. */
  const afterWrite = (task: ModelTask, set: Partial<Task>, response: Task): ModelTask => {
    const completed = set.completed ?? task.completed
    const completed_at = completed ? (task.completed_at ?? response.updated_at) : null
    const { updated_at } = response
    return {
      ...without(task),
      ...set,
      completed,
      completed_at,
      version: task.version + 1,
      updated_at,
    }
  }
  const expectValidTimes = (task: Task, before?: Task) => {
    expect(Math.abs(Date.parse(task.updated_at) - Date.now())).toBeLessThan(60_000)
    expect(task.updated_at >= (before?.updated_at ?? task.created_at)).toBe(true)
  }

  /** A conditional write of one task of `from`. Expects 404 or 412, or calls `then` with the task and the response. */
  const write = async (
    from: Map<string, ModelTask>,
    send: (id: string, headers: Record<string, string>) => ReturnType<Someone['call']>,
    then: (task: ModelTask, body: never) => void | Promise<void>,
  ) => {
    const id = idFrom(from)
    const task = from.get(id)
    const { headers, matches } = matchFor(task)
    const response = await send(id, headers)
    if (task === undefined) return void expect(response.status).toBe(404)
    if (!matches) {
      expect([response.status, response.headers.get('etag')]).toEqual([412, `"${task.version}"`])
      return
    }
    expect(response.status).toBe(200)
    await then(task, response.body as never)
  }
  const toTrash = async (ids: string[]) => {
    const page = (await walk({ call }, '/api/tasks/trash?limit=200')).flat() as ModelTask[]
    for (const id of ids) {
      const task = live.get(id)
      const found = page.find((one) => one.id === id)
      if (!task || !found) throw new Error('not in the trash')
      live.delete(id)
      const { deleted_at, updated_at } = found
      expect(found).toEqual({
        ...task,
        version: task.version + 1,
        updated_at,
        deleted_at,
      } as ModelTask)
      expect(deleted_at).toBe(updated_at)
      trash.set(id, found)
    }
  }
  const create = async () => {
    const draft = { title: random.of(titles), ...some(random, members(random)) }
    const { status, body } = await call('POST', '/api/tasks', draft)
    expect(status).toBe(201)
    expectValidTimes(body)
    keepNew(draft, body)
  }
  const defaults = {
    description: null,
    priority: 'normal',
    due_at: null,
    due_on: null,
    tags: [],
    list_id: null,
    recurrence: null,
    reminders: [],
    series_id: null,
    completed: false,
  }
  const keepNew = (draft: object, body: Task) => {
    const { id, created_at } = body
    expect(body).toEqual({
      ...defaults,
      ...draft,
      id,
      user_id: person.id,
      completed_at: null,
      version: 1,
      created_at,
      updated_at: created_at,
      position: body.position,
    } as unknown as Task)
    live.set(id, body)
  }
  const set = (task: ModelTask, changes: Partial<Task>, body: Task) => {
    expectValidTimes(body, task)
    expect(body).toEqual(afterWrite(task, changes, body))
    live.set(task.id, body)
  }
  const put = () => {
    const sent = {
      title: random.of(titles),
      completed: random.chance(50),
      ...some(random, members(random)),
    }
    return write(
      live,
      (id, headers) => call('PUT', `/api/tasks/${id}`, sent, headers),
      (task, body) => set(task, { ...defaults, ...sent } as Partial<Task>, body),
    )
  }
  const changesOf = () => ({
    completed: random.chance(50),
    ...some(random, { title: random.of(titles), ...members(random) }),
  })
  const patch = () => {
    const sent = changesOf()
    return write(
      live,
      (id, headers) => call('PATCH', `/api/tasks/${id}`, sent, headers),
      (task, body) => set(task, sent, body),
    )
  }
  const complete = () => {
    const sent = random.of([undefined, { completed: true }, { completed: false }])
    return write(
      live,
      (id, headers) => call('PATCH', `/api/tasks/${id}/complete`, sent, headers),
      async (task, body) => {
        const completed = sent?.completed ?? !task.completed
        expect(body).toEqual({ success: true, completed } as never)
        set(task, { completed }, (await call('GET', `/api/tasks/${task.id}`)).body)
      },
    )
  }
  const remove = () =>
    write(
      live,
      (id, headers) => call('DELETE', `/api/tasks/${id}`, undefined, headers),
      ({ id }) => toTrash([id]),
    )
  const restore = () =>
    write(
      trash,
      (id, headers) => call('POST', `/api/tasks/${id}/restore`, undefined, headers),
      (task, body) => {
        trash.delete(task.id)
        set(task, {}, body)
      },
    )
  const erase = async () => {
    const id = idFrom(trash)
    const { status } = await call('DELETE', `/api/tasks/trash/${id}`)
    expect(status).toBe(trash.delete(id) ? 204 : 404)
    if (status === 204) erased.add(id)
  }
  const empty = async () => {
    expect((await call('DELETE', '/api/tasks/trash')).status).toBe(204)
    for (const id of trash.keys()) erased.add(id)
    trash.clear()
  }
  const batch = async () => {
    const ids = new Set(Array.from({ length: random.below(6) }, () => idFrom(live)))
    const jobs = [...ids].map((id) => ({
      id,
      kind: random.of(['update', 'complete', 'delete'] as const),
    }))
    const of = (kind: string) => jobs.filter((job) => job.kind === kind)
    const update = of('update').map(({ id }) => {
      const version = random.chance(50)
        ? (live.get(id)?.version ?? 1) + random.of([0, 0, 0, 1])
        : undefined
      return { id, ...changesOf(), ...(version && { version }) }
    })
    const toggle = of('complete').map(({ id }) => ({
      id,
      ...(random.chance(50) && { completed: true }),
    }))
    const deletedIds = of('delete').map(({ id }) => id)
    const create = Array.from({ length: random.below(3) + 1 }, () => ({ title: random.of(titles) }))
    const targets = [
      ...update.map((one, at) => ({ ...one, pointer: `/update/${at}` })),
      ...toggle.map((one, at) => ({ ...one, pointer: `/complete/${at}`, version: undefined })),
      ...deletedIds.map((id, at) => ({ id, pointer: `/delete/${at}`, version: undefined })),
    ]
    const refused = targets.find(({ id, version }) => {
      const task = live.get(id)
      return !task || (version !== undefined && version !== task.version)
    })

    const { status, body } = await call('POST', '/api/tasks/batch', {
      create,
      update,
      complete: toggle,
      delete: deletedIds,
    })

    if (refused) {
      expect([status, body.errors?.[0].pointer]).toEqual([
        live.has(refused.id) ? 412 : 404,
        refused.pointer,
      ])
      return
    }
    expect([status, body.deleted]).toEqual([200, deletedIds])
    expect(body.created).toHaveLength(create.length)
    for (const [at, draft] of create.entries()) keepNew(draft, body.created[at])
    for (const [at, { id, version: _version, ...changes }] of update.entries())
      set(live.get(id) as ModelTask, changes, body.updated[at])
    for (const [at, { id, completed }] of toggle.entries()) {
      const task = live.get(id) as ModelTask
      set(task, { completed: completed ?? !task.completed }, body.completed[at])
    }
    await toTrash(deletedIds)
  }
  const list = async () => {
    const filters: Query = {
      completed: random.of(['true', 'false']),
      priority: random.of(priorities),
      tag: random.of([random.of(tags), [random.of(tags), random.of(tags)]]),
      q: random.of(['milk', 'É', '%', '_', '\\', '😀', 'z']),
      due_before: '2026-06-01T00:00:00.001Z',
      due_after: '2026-01-01T02:00:00+02:00',
      updated_after: random.of(
        [...live.values()].map((one) => one.updated_at).concat('2026-01-01T00:00:00Z'),
      ),
    }
    const selected = Object.entries(filters).filter(() => random.chance(20))
    const query: Query = { ...Object.fromEntries(selected), sort: random.of(sorts) }
    const limit = limitFor(live.size)
    const path = `/api/tasks?${search({ ...query, limit })}`
    expect((await walk({ call }, path)).flat()).toEqual(listed(live.values(), query))
  }
  const read = async () => {
    const id = anyId()
    const task = live.get(id)
    const headers = { 'if-none-match': `"${(task?.version ?? 1) + random.below(2)}"` }
    const plain = await call('GET', `/api/tasks/${id}`)
    const conditional = await call('GET', `/api/tasks/${id}`, undefined, headers)
    if (!task) return void expect([plain.status, conditional.status]).toEqual([404, 404])
    expect([plain.status, plain.body]).toEqual([200, task])
    expect(conditional.status).toBe(headers['if-none-match'] === `"${task.version}"` ? 304 : 200)
  }
  const readTrash = async () => {
    const pages = await walk({ call }, `/api/tasks/trash?limit=${limitFor(trash.size)}`)
    const expected = [...trash.values()].sort((a, b) =>
      `${a.deleted_at}${a.id}` < `${b.deleted_at}${b.id}` ? 1 : -1,
    )
    expect(pages.flat()).toEqual(expected)
  }
  const changes = async () => {
    if (random.chance(10)) {
      copy.clear()
      since = ''
    }
    let more = true
    while (more) {
      const { status, body } = await call(
        'GET',
        `/api/tasks/changes?limit=${limitFor(live.size)}${since}`,
      )
      expect(status).toBe(200)
      for (const change of body.changes as Change[])
        if (change.op === 'upsert') copy.set(change.task.id, change.task)
        else copy.delete(change.id)
      since = `&since=${body.next}`
      more = body.has_more
    }
    expect(copy).toEqual(live)
  }
  const exported = async () => {
    const { text } = await call('GET', '/api/tasks/export?format=ndjson')
    const lines = text.split('\n').filter((line) => line !== '')
    const byId = [...live.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(lines.map((line) => JSON.parse(line))).toEqual(byId)
  }

  const frequent = [
    create,
    create,
    put,
    patch,
    patch,
    complete,
    complete,
    remove,
    restore,
    batch,
    list,
    read,
  ]
  const rare = [erase, changes, changes, readTrash, exported]
  return {
    ids: () => [...live.keys(), ...trash.keys()].slice(0, 5),
    step: async () => {
      if (live.size > tasksMax) return remove()
      const operation = random.chance(2) ? empty : random.of(random.chance(75) ? frequent : rare)
      return operation()
    },
    check: async () => {
      await Promise.all([changes(), readTrash(), exported()])
      expect((await walk({ call }, '/api/tasks?limit=200')).flat()).toEqual(
        listed(live.values(), {}),
      )
      return live.size + trash.size + erased.size
    },
  }
}

test(
  `the responses to ${people} concurrent users are those of a model, over ${operations} operations each (SEED=${seed})`,
  async () => {
    const { someone } = await service({ RATE_LIMIT: '1000000' })
    const all: Awaited<ReturnType<typeof personOf>>[] = []
    for (let n = 0; n < people; n++) {
      const others = () => all.flatMap((one, at) => (at === n ? [] : one.ids()))
      all.push(await personOf(await someone(), others, randomOf(seed + n)))
    }

    await Promise.all(
      all.map(async ({ step }) => {
        for (let n = 0; n < operations; n++) await step()
      }),
    )

    const counts = await Promise.all(all.map(({ check }) => check()))
    expect(Math.min(...counts)).toBeGreaterThan(operations / 20)
  },
  isLong ? 7_200_000 : 240_000,
)
