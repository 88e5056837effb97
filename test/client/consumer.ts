// A program of another repository. test/client/package.test.ts type-checks and runs it there.

import {
  type Batch,
  createClient,
  createMemoryTokenStore,
  isProblem,
  type Problem,
  type ProblemCode,
  type Task,
  type TaskQuery,
  unwrap,
} from 'taskwarden-client'

// Without the types of Node.js, which a program for browsers does not have.
const { process } = globalThis as unknown as { process: { argv: string[] } }
const [baseUrl = '', email = '', password = ''] = process.argv.slice(2)
const results: Record<string, unknown> = {}
const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )

const tokens = createMemoryTokenStore()
const client = createClient({ baseUrl, tokens })
const signedUp = await client.signUp({ email, password })
results.user = signedUp?.user.email

const user = signedUp?.user
const { tasks } = client
const milk: Task = await tasks.create({ title: 'Buy milk', priority: 'high', due_at: null })
const changed = await tasks.update(milk, { tags: ['shop'] })
results.versions = [milk.version, changed.version]

const stale = await reasonOf(tasks.update(milk, { title: 'Buy oat milk' }))
if (isProblem(stale, 'version-mismatch')) {
  const code: 'version-mismatch' = stale.code
  results.stale = [code, stale.status, stale.currentVersion, stale.etag]
}
const merged = await tasks.update(milk.id, (task) => ({ tags: [...task.tags, 'home'] }))
results.merged = merged.tags

const invalid = await reasonOf(tasks.create({ title: '' }))
if (isProblem(invalid)) results.invalid = [invalid.code, invalid.errors[0]?.pointer]

const idempotencyKey = 'a key of this process'
const twice = await Promise.all(
  [1, 2].map(() => tasks.create({ title: 'Once' }, { idempotencyKey })),
)
results.once = new Set(twice.map(({ id }) => id)).size

const create: NonNullable<Batch['create']> = Array.from({ length: 5 }, (_, at) => ({
  title: `${at}`,
}))
results.created = (await tasks.batch({ create })).created.length

const query: TaskQuery = { completed: false, sort: 'title', limit: 2 }
const titles: string[] = []
for await (const { title } of tasks.list(query)) titles.push(title)
results.titles = titles

const done = await tasks.complete(merged, true)
results.done = [done.completed, done.version]
await tasks.delete({ id: milk.id, version: done.version ?? 0 })
for await (const { title, deleted_at } of tasks.trash()) results.trash = [title, typeof deleted_at]

const csv = await (await tasks.export('csv')).text()
results.imported = await tasks.import({ csv }, { dryRun: true })
results.added = await tasks.import([{ title: 'Imported' }])

const { data, error, response } = await client.http.GET('/api/auth/sessions')
results.sessions = data?.sessions.length ?? [error?.code, response.status]
const issued = unwrap(
  await client.http.POST('/api/auth/tokens', { body: { name: 'script', scope: 'tasks:read' } }),
)
if (!('access_token' in issued)) throw new Error('a calendar feed')
const script = createClient({ baseUrl, accessToken: issued.access_token })
const denied = await reasonOf(script.tasks.create({ title: 'x' }))
results.denied = isProblem(denied) ? denied.code : denied

const before = await tokens.get()
await client.refresh()
results.refreshed = before?.accessToken !== (await tokens.get())?.accessToken
const ada = await client.currentUser()
results.same = ada.id === user?.id

await client.signOut()
const ended = await reasonOf(client.currentUser())
results.ended = isProblem(ended, 'unauthenticated', 'invalid-credentials') ? ended.code : ended

const aborted = await reasonOf(tasks.get(milk.id, { signal: AbortSignal.abort() }))
results.aborted = aborted instanceof Error ? aborted.name : aborted

console.log(JSON.stringify(results))

// What does not compile.
export const mistakes = (problem: Problem): unknown[] => {
  // @ts-expect-error: no such code
  const code: ProblemCode = 'no-such-code'
  // @ts-expect-error: no such priority
  const priority = () => tasks.create({ title: 'x', priority: 'highest' })
  // @ts-expect-error: a title is required
  const title = () => tasks.create({})
  // @ts-expect-error: an absent member is absent
  const absent = () => tasks.update(milk, { title: undefined })
  // @ts-expect-error: no such sort key
  const sorted = () => tasks.list({ sort: 'tags' })
  // @ts-expect-error: no such route
  const route = () => client.http.GET('/api/nothing')
  // @ts-expect-error: nothing in front of it says that this is a version mismatch
  const version: 'version-mismatch' = problem.code
  return [code, priority, title, absent, sorted, route, version]
}
