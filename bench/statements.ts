import { createSignInRepository } from '../src/auth/sign-in/repository.ts'
import { openDatabase } from '../src/db/client.ts'
import { createListingRepository } from '../src/tasks/listing/repository.ts'
import { createTaskRepository } from '../src/tasks/task/repository.ts'
import { bcryptCost, sessionId, taskId, userId } from './fixture.ts'

/** A statement as it is sent, and the meaning of each parameter, in order. */
export type Statement = { text: string; parameters: string[] }

/**
 * Records the statements of the service's repositories. All arguments are different, so that each parameter is
 * recognised by its value.
 */
export const createTaskStatements = async (url: string): Promise<Record<string, Statement>> => {
  const sent: { text: string; values: unknown[] }[] = []
  const database = await openDatabase(
    { kind: 'postgres', url, migrationUrl: url, poolMax: 1, timeoutMs: 5000, prepare: 'auto' },
    (text, values) => sent.push({ text, values }),
  )
  const principal = { userId: userId(1), sessionId: sessionId(1) }
  const tasks = createTaskRepository(database.db)(principal)
  const lists = createListingRepository(database.db)(principal)
  const accounts = createSignInRepository(database.db, { ttlSeconds: 86_400, sessionMaxDays: 30 })
  const given = {
    user: userId(1),
    session: sessionId(1),
    id: taskId(1, 1),
    title: 'a title',
    description: 'a description',
    priority: 'urgent',
    due_at: '2031-01-01T00:00:00.000Z',
    tags: '{"a tag"}',
    versions: '{"7"}',
    completed: true,
    key: 'infinity',
    last: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    rows: 21,
    email: 'user1@example.test',
    hash: `$2b$${bcryptCost}$${'u'.repeat(22)}${'e'.repeat(31)}`,
  }
  const { id, title, description, priority, due_at, hash } = given
  const task = { title, description, priority: priority as 'urgent', due_at, tags: ['a tag'] }
  const user = {
    ...{ id: given.user, email: given.email, name: null, created_at: '', email_verified: false },
    ...{ pending_email: null, time_zone: 'UTC', reminders_by_mail: false },
  }
  const calls = {
    find: () => tasks.find(id),
    list: () => lists.page({}, { sorts: ['-created_at'], rows: given.rows, after: undefined }),
    add: () => tasks.add(task),
    replace: () => tasks.replace(id, { ...task, completed: true }, [7]),
    complete: () => tasks.complete(id, true, [7]),
    remove: () => tasks.remove(id, [7]),
    credentials: () => accounts.credentials(given.email),
    signIn: () => accounts.signIn({ user, verifiedHash: hash, newHash: hash }, null),
  }

  const statements: Record<string, Statement> = {}
  for (const [name, call] of Object.entries(calls)) {
    sent.length = 0
    await call()
    const [statement] = sent
    if (statement === undefined || sent.length !== 1)
      throw new Error(`${name} is not one statement`)
    const { text, values } = statement
    statements[name] = { text, parameters: values.map((value) => nameOf(value, values, given)) }
  }
  await database.close()
  return statements
}

const instant = /^\d{4}-\d\d-\d\dT/

const nameOf = (value: unknown, values: unknown[], given: Record<string, unknown>): string => {
  const known = Object.keys(given).find((name) => given[name] === value)
  if (known !== undefined) return known
  if (value === null) return 'nothing'
  if (typeof value !== 'string') throw new Error(`what is ${value}?`)
  if (!instant.test(value)) return 'fresh_id'
  // Of two times that are not arguments, the later one is the end of the session.
  const moments = values.filter(
    (one): one is string =>
      typeof one === 'string' && instant.test(one) && !Object.values(given).includes(one),
  )
  const now = moments.toSorted()[0]
  return value === now ? 'now' : 'expires'
}

/** For pgbench, which only has numbers: each parameter as an expression of `user` and `task`. */
export const scriptOf = ({ text, parameters }: Statement): string => {
  const group = (name: string) =>
    `('00000000-0000-7000-${name}-' || lpad(to_hex(:user::int), 12, '0'))::uuid`
  const expressions: Record<string, string> = {
    user: group('8000'),
    session: group('9000'),
    id: `(lpad(to_hex(:task::int), 8, '0') || '-0000-7000-a000-' || lpad(to_hex(:user::int), 12, '0'))::uuid`,
    fresh_id: 'gen_random_uuid()',
    now: "date_trunc('milliseconds', now())",
    key: "'infinity'",
    last: "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
    rows: '21',
    title: "'Replace the filters of the pump'",
    description: "'Both of them'",
    priority: "'high'",
    due_at: "'2027-03-01T09:00:00Z'",
    tags: "'{house,garden}'",
    versions: 'null',
    completed: parameters.includes('title') ? 'true' : 'null',
  }
  return text.replace(
    /\$(\d+)/g,
    (_, number) => expressions[parameters[number - 1] ?? ''] ?? 'null',
  )
}
