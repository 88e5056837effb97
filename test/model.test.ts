import { afterEach, expect, setSystemTime, test } from 'bun:test'
import { type Answer, type Someone, service } from './service.ts'

/*
 * Random operations by several users, each answer held against a model in memory. The seed is
 * printed where they differ; FUZZ=1 runs 50 users × 10 000 operations.
 */

const large = process.env.FUZZ === '1'
const seed = Number(process.env.SEED ?? 1 + Math.floor(Math.random() * 2 ** 31))
const usersMax = large ? 50 : 4
const operationsEach = large ? 10_000 : 500

type Task = {
  id: string
  user_id: string
  title: string
  description: string | null
  completed: boolean
  completed_at: string | null
  priority: string
  due_at: string | null
  tags: string[]
  version: number
  created_at: string
  updated_at: string
}
type Row = { task: Task; deletedAt: string | null }

afterEach(() => {
  setSystemTime()
})

/** Mulberry32: the same numbers for the same seed. */
const randomOf = (start: number) => {
  let state = start
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
  const chance = (part: number) => next() < part
  return { below, pick, chance }
}
type Random = ReturnType<typeof randomOf>

const priorities = ['low', 'normal', 'high', 'urgent']
const titles = ['Milk', 'milk 100%', 'Élan', 'éclair_', '=sum', 'Z', 'a\\b', '😀 x', '𐀀', '\uffee']
const descriptions = [null, '', 'with milk', 'ÉLAN', '100%']
const tagPool = ['home', 'work', 'a,b', 'c"d\\', '{}', 'ü']
const dues = [
  null,
  '2026-12-24T18:00:00.000Z',
  '2027-01-01T00:00:00.000Z',
  '0001-01-01T00:00:00.000Z',
]

const tagsOf = ({ pick, below }: Random) => [
  ...new Set(Array.from({ length: below(4) }, () => pick(tagPool))),
]

/** Some members of a task; `title` always where `whole`. */
const draftOf = (random: Random, whole: boolean): Partial<Task> => ({
  ...((whole || random.chance(0.4)) && { title: random.pick(titles) }),
  ...(random.chance(0.4) && { description: random.pick(descriptions) }),
  ...(random.chance(0.4) && { priority: random.pick(priorities) }),
  ...(random.chance(0.4) && { due_at: random.pick(dues) }),
  ...(random.chance(0.4) && { tags: tagsOf(random) }),
})

const defaults = { description: null, priority: 'normal', due_at: null, tags: [] as string[] }

/** One user's tasks as they must be. */
const modelOf = (userId: string) => {
  const rows = new Map<string, Row>()
  const live = () =>
    [...rows.values()].filter((row) => row.deletedAt === null).map((row) => row.task)

  const write = (id: string, changes: Partial<Task>, now: string, row = rows.get(id)!) => {
    const completed = changes.completed ?? row.task.completed
    const completed_at = completed ? (row.task.completed_at ?? now) : null
    row.task = {
      ...row.task,
      ...changes,
      completed,
      completed_at,
      version: row.task.version + 1,
      updated_at: now,
    }
    return row.task
  }

  return {
    rows,
    live,
    write,
    isLive: (id: string) => rows.get(id)?.deletedAt === null,
    inTrash: (id: string) => typeof rows.get(id)?.deletedAt === 'string',
    add: (id: string, draft: Partial<Task>, now: string) => {
      const task = {
        ...{ id, user_id: userId, title: '', completed: false, completed_at: null },
        ...{ ...defaults, version: 1, created_at: now, updated_at: now, ...draft },
      }
      rows.set(id, { task, deletedAt: null })
      return task
    },
    remove: (id: string, now: string) => {
      write(id, {}, now)
      rows.get(id)!.deletedAt = now
    },
    restore: (id: string, now: string) => {
      rows.get(id)!.deletedAt = null
      return write(id, {}, now)
    },
    trash: () =>
      [...rows.values()]
        .flatMap(({ task, deletedAt }) => (deletedAt ? [{ ...task, deleted_at: deletedAt }] : []))
        .sort((a, b) => compare(b.deleted_at, a.deleted_at) || compare(b.id, a.id)),
  }
}
type Model = ReturnType<typeof modelOf>

const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const keyOf = (task: Task, by: string, down: boolean) => {
  if (by === 'priority') return String(priorities.indexOf(task.priority))
  if (by === 'due_at') return task.due_at ?? (down ? '' : '9999z')
  return task[by as 'title' | 'created_at' | 'updated_at']
}

const listed = (tasks: Task[], query: URLSearchParams) => {
  const sort = query.get('sort') ?? '-created_at'
  const down = sort.startsWith('-')
  const by = sort.replace('-', '')
  const q = query.get('q')?.toLowerCase()
  const tags = query.getAll('tag')
  const before = query.get('due_before')
  return tasks
    .filter(
      (task) =>
        query.get('completed') === null || String(task.completed) === query.get('completed'),
    )
    .filter((task) => query.get('priority') === null || task.priority === query.get('priority'))
    .filter((task) => tags.every((tag) => task.tags.includes(tag)))
    .filter(
      (task) =>
        q === undefined ||
        [task.title, task.description ?? ''].some((text) => text.toLowerCase().includes(q)),
    )
    .filter((task) => before === null || (task.due_at !== null && task.due_at < before))
    .sort((a, b) => {
      const order = compare(keyOf(a, by, down), keyOf(b, by, down)) || compare(a.id, b.id)
      return down ? -order : order
    })
}

const queryOf = ({ pick, chance, below }: Random) => {
  const query = new URLSearchParams({ limit: String(1 + below(30)) })
  const sorts = ['created_at', 'updated_at', 'due_at', 'priority', 'title']
  if (chance(0.8)) query.set('sort', `${pick(['', '-'])}${pick(sorts)}`)
  if (chance(0.2)) query.set('completed', pick(['true', 'false']))
  if (chance(0.2)) query.set('priority', pick(priorities))
  if (chance(0.2)) query.append('tag', pick(tagPool))
  if (chance(0.1)) query.append('tag', pick(tagPool))
  if (chance(0.2)) query.set('q', pick(['milk', '%', '_', '\\', 'É', 'elan', '😀']))
  if (chance(0.2)) query.set('due_before', '2027-01-01T00:00:00.000Z')
  return query
}

const walk = async (user: Someone, path: string): Promise<unknown[]> => {
  const found: unknown[] = []
  for (let next: string | undefined = path; next !== undefined; ) {
    const answer: Answer = await user.call('GET', next)
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
    found.push(...answer.body.tasks)
    next = /<(.*)>/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  return found
}

/** A copy that follows the changes feed. */
const copyOf = (user: Someone) => {
  const copy = new Map<string, unknown>()
  let since = ''
  return async (limit: number) => {
    for (let more = true; more; ) {
      const { status, body, text } = await user.call(
        'GET',
        `/api/tasks/changes?limit=${limit}${since}`,
      )
      if (status !== 200) throw new Error(text)
      for (const change of body.changes)
        if (change.op === 'upsert') copy.set(change.task.id, change.task)
        else copy.delete(change.id)
      since = `&since=${body.next}`
      more = body.has_more
    }
    return [...copy.values()]
  }
}

type Person = { user: Someone; model: Model; follow: ReturnType<typeof copyOf> }
const byId = (a: unknown, b: unknown) => compare((a as Task).id, (b as Task).id)

/** One operation: what the service said, and what the model says it had to. */
const step = async (
  { user, model, follow }: Person,
  others: Model,
  random: Random,
  now: string,
): Promise<[what: string, said: unknown, due: unknown]> => {
  const { pick, chance, below } = random
  const known = [...model.rows.keys(), ...others.rows.keys(), Bun.randomUUIDv7(), 'nope']
  const id = pick(known)
  const path = `/api/tasks/${id}`
  const task = model.rows.get(id)?.task
  const stale = chance(0.15)
  const headers: Record<string, string> = chance(0.3)
    ? { 'if-match': `"${(task?.version ?? 1) + (stale ? 1 : 0)}"` }
    : {}
  const isStale = stale && headers['if-match'] !== undefined
  const write = async (
    method: string,
    at: string,
    body: unknown,
    isThere: boolean,
    effect: () => unknown,
  ) => {
    const { status, body: said } = await user.call(method, at, body, headers)
    const wrong = isThere ? (isStale ? 412 : undefined) : 404
    return wrong
      ? ([`${method} ${at}`, status, wrong] as [string, unknown, unknown])
      : ([`${method} ${at}`, said, effect()] as [string, unknown, unknown])
  }

  switch (
    pick([
      'add',
      'add',
      'add',
      'put',
      'patch',
      'patch',
      'complete',
      'remove',
      'restore',
      'erase',
      'empty',
      'batch',
      'read',
      'list',
      'trash',
      'changes',
    ])
  ) {
    case 'add': {
      const draft = draftOf(random, true)
      const { body } = await user.call('POST', '/api/tasks', draft)
      return ['add', body, model.add(body.id, draft, now)]
    }
    case 'put': {
      const draft = { ...draftOf(random, true), completed: chance(0.5) }
      return write('PUT', path, draft, model.isLive(id), () =>
        model.write(id, { ...defaults, ...draft }, now),
      )
    }
    case 'patch': {
      const draft = { ...draftOf(random, false), ...(chance(0.3) && { completed: chance(0.5) }) }
      const changes = Object.keys(draft).length === 0 ? { description: null } : draft
      return write('PATCH', path, changes, model.isLive(id), () => model.write(id, changes, now))
    }
    case 'complete': {
      const body = chance(0.5) ? { completed: chance(0.5) } : undefined
      return write('PATCH', `${path}/complete`, body, model.isLive(id), () => {
        const { completed } = model.write(
          id,
          { completed: body?.completed ?? !task?.completed },
          now,
        )
        return { success: true, completed }
      })
    }
    case 'remove':
      return write('DELETE', path, undefined, model.isLive(id), () => {
        model.remove(id, now)
        return { success: true }
      })
    case 'restore':
      return write('POST', `${path}/restore`, undefined, model.inTrash(id), () =>
        model.restore(id, now),
      )
    case 'erase': {
      const { status } = await user.call('DELETE', `/api/tasks/trash/${id}`)
      const due = model.inTrash(id) ? 204 : 404
      if (due === 204) model.rows.delete(id)
      return ['erase', status, due]
    }
    case 'empty': {
      if (!chance(0.1)) return ['nothing', 0, 0]
      const { status } = await user.call('DELETE', '/api/tasks/trash')
      for (const { id } of model.trash()) model.rows.delete(id)
      return ['empty', status, 204]
    }
    case 'batch': {
      const ids = [
        ...new Set(
          Array.from({ length: 1 + below(4) }, () =>
            chance(0.9) ? pick([...model.rows.keys(), id]) : id,
          ),
        ),
      ]
      const [updated, completed, ...deleted] = ids
      const draft = { title: pick(titles), tags: tagsOf(random) }
      const body = {
        create: [draft],
        ...(updated && { update: [{ id: updated, ...draft }] }),
        ...(completed && { complete: [{ id: completed }] }),
        ...(deleted.length > 0 && { delete: deleted }),
      }
      const answer = await user.call('POST', '/api/tasks/batch', body)
      if (!ids.every(model.isLive)) return ['batch', answer.status, 404]
      const due = {
        created: [model.add(answer.body.created[0].id, draft, now)],
        updated: updated ? [model.write(updated, draft, now)] : [],
        completed: completed
          ? [model.write(completed, { completed: !model.rows.get(completed)!.task.completed }, now)]
          : [],
        deleted,
      }
      for (const id of deleted) model.remove(id, now)
      return ['batch', answer.body, due]
    }
    case 'read': {
      const { status, body } = await user.call('GET', path)
      return model.isLive(id) ? ['read', body, task] : ['read', status, 404]
    }
    case 'list': {
      const query = queryOf(random)
      return [`list ${query}`, await walk(user, `/api/tasks?${query}`), listed(model.live(), query)]
    }
    case 'trash':
      return ['trash', await walk(user, `/api/tasks/trash?limit=${1 + below(20)}`), model.trash()]
    default:
      return ['changes', (await follow(1 + below(50))).sort(byId), model.live().sort(byId)]
  }
}

test(
  'random operations of several users do what a model in memory does',
  async () => {
    const { someone } = await service({ RATE_LIMIT: '1000000' })
    const people = await Promise.all(
      Array.from({ length: usersMax }, async (): Promise<Person> => {
        const user = await someone()
        return { user, model: modelOf(user.id), follow: copyOf(user) }
      }),
    )
    const random = randomOf(seed)
    const start = Date.now()

    for (let at = 0; at < usersMax * operationsEach; at += 1) {
      const who = random.below(usersMax)
      const instant = new Date(start + at)
      setSystemTime(instant)
      const [what, said, due] = await step(
        people[who]!,
        people[(who + 1) % usersMax]!.model,
        random,
        instant.toISOString(),
      )
      expect(said, `seed ${seed}, operation ${at}, user ${who}: ${what}`).toEqual(due)
    }

    for (const { user, model, follow } of people) {
      expect((await follow(200)).sort(byId)).toEqual(model.live().sort(byId))
      expect(await walk(user, '/api/tasks?limit=200')).toEqual(
        listed(model.live(), new URLSearchParams()),
      )
    }
  },
  large ? 36_000_000 : 120_000,
)
