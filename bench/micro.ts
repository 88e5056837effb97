import { TypeCompiler } from '@sinclair/typebox/compiler'
import { barplot, bench, group, run, summary } from 'mitata'
import { createJwt } from '../src/auth/access-tokens/jwt.ts'
import { isGuessable } from '../src/auth/passwords/strength.ts'
import { createCursorCodec } from '../src/http/cursor-codec.ts'
import { createMemoryStore } from '../src/rate-limit/memory.ts'
import { ResponseBody } from '../src/schema/response.ts'
import { toUtc } from '../src/schema/timestamp.ts'
import { TaskPage } from '../src/tasks/listing/schema.ts'
import { NewTask, Task } from '../src/tasks/task/schema.ts'

/*
 * `bun run bench:micro`: the cost of the parts of a request, with their spread. `bun run bench:counters` measures the
 * shared rate-limit stores, which need a server.
 */

const secrets = ['a secret that is long enough for the tests']
const settings = { secrets, issuer: 'taskwarden', audience: 'taskwarden-api', ttlSeconds: 86_400 }
const tokens = createJwt(settings)
const inAnHour = new Date(Date.now() + 3_600_000).toISOString()
const token = await tokens.sign(Bun.randomUUIDv7(), Bun.randomUUIDv7(), inAnHour)
const forged = token.replace(
  /\.([^.])([^.]*)$/,
  (_, first, rest) => `.${first === 'A' ? 'B' : 'A'}${rest}`,
)
/** More than the token cache holds, so that each is uncached when its turn comes. */
const uncachedTokens = await Promise.all(
  Array.from({ length: 20_000 }, () =>
    tokens.sign(Bun.randomUUIDv7(), Bun.randomUUIDv7(), inAnHour),
  ),
)

const task = {
  id: Bun.randomUUIDv7(),
  user_id: Bun.randomUUIDv7(),
  title: 'Order new filters for the pump',
  description: 'Two of the large ones, and a seal',
  completed: false,
  completed_at: null,
  priority: 'high',
  due_at: '2027-03-01T09:00:00.000Z',
  tags: ['house', 'garden'],
  version: 1,
  created_at: '2026-11-20T23:16:35.474Z',
  updated_at: '2026-11-20T23:16:35.474Z',
}
const draft = {
  title: task.title,
  description: task.description,
  due_at: task.due_at,
  tags: task.tags,
}
const page = { tasks: Array.from({ length: 20 }, () => task), next_cursor: null }
const answers = [ResponseBody(Task), ResponseBody(TaskPage)]
const [newTask, oneTask, taskPage] = [NewTask, ...answers].map((schema) =>
  TypeCompiler.Compile(schema),
)
const pageText = JSON.stringify(page)
const cursorCodec = createCursorCodec(secrets)
const position = [task.created_at, task.id] as const
const cursor = cursorCodec.encode([...position], 'a user and a query')

const times = Array.from({ length: 1000 }, (_, n) => new Date(1.8e12 + n * 1e8).toISOString())
const timesElsewhere = times.map((time) => time.replace('Z', '+02:00'))

const leet = '4@8({[3691!|0$57+%20'
const passwords = Array.from({ length: 1000 }, (_, n) =>
  Array.from({ length: 128 }, (_, at) => leet[(n * 7 + at * at) % leet.length]).join(''),
)

let next = 0
const turn = <Item>(items: Item[]): Item => {
  next = (next + 1) % items.length
  return items[next] as Item
}

group('guard', () => {
  bench('a token seen before', () => tokens.verify(token))
  bench('a token seen for the first time', () => tokens.verify(turn(uncachedTokens)))
  bench('a forged token', () => tokens.verify(forged))
})

group('validation', () => {
  bench('a new task', () => newTask?.Check(draft))
  bench('a response with one task', () => oneTask?.Check(task))
  bench('a response with 20 tasks', () => taskPage?.Check(page))
  bench('a time in UTC', () => toUtc(turn(times)))
  bench('a time with an offset', () => toUtc(turn(timesElsewhere)))
})

group('passwords', () => {
  bench('a password of 128 characters', () => isGuessable(turn(passwords)))
})

group('serialisation', () => {
  bench('a task to JSON', () => JSON.stringify(task))
  bench('a page of 20 to JSON', () => JSON.stringify(page))
  bench('a page of 20 from JSON', () => JSON.parse(pageText))
  bench('encoding a cursor', () => cursorCodec.encode([...position], 'a user and a query'))
  bench('decoding a cursor', () => cursorCodec.decode(cursor, 'a user and a query'))
})

const rateLimitStore = createMemoryStore()
const keys = Array.from({ length: 10_000 }, (_, user) => `user:${user}`)
const crowd = Array.from({ length: 200_000 }, (_, user) => `crowd:${user}`)

barplot(() => {
  summary(() => {
    bench('limiter in memory: one user', () => rateLimitStore.add('user:one', 3_600_000, 1_000_000))
    bench('limiter in memory: 10 000 users', () =>
      rateLimitStore.add(turn(keys), 3_600_000, 1_000_000),
    )
    // Twice the capacity: each new key evicts another one.
    bench('limiter in memory: full', () => rateLimitStore.add(turn(crowd), 3_600_000, 1_000_000))
  })
})

await run()
