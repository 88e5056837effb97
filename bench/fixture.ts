import { createHmac } from 'node:crypto'
import postgres, { type Sql } from 'postgres'

/** Ids are derived from numbers, so that wrk and pgbench need no file. */
export const userId = (user: number) => `00000000-0000-7000-8000-${hex(user, 12)}`
export const sessionId = (user: number) => `00000000-0000-7000-9000-${hex(user, 12)}`
export const taskId = (user: number, task: number) =>
  `${hex(task, 8)}-0000-7000-a000-${hex(user, 12)}`

const hex = (number: number, width: number) => number.toString(16).padStart(width, '0')

export const password = 'correct horse battery staple'
export const bcryptCost = 10
/** Rows created by the benchmark have a later timestamp. */
const loadedAt = '2026-01-01T00:00:00Z'

export type Size = { users: number; tasksPerUser: number }

/** Creates accounts, and a session and tasks for each, with SQL. */
export const load = async (url: string, { users, tasksPerUser }: Size) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  const hash = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: bcryptCost })
  await sql.unsafe(`
    insert into users (id, email, password_hash, created_at)
    select ${id('8000', 'n')}, 'user' || n || '@example.test', '${hash}', '${loadedAt}'
    from generate_series(1, ${users}) n`)
  await sql.unsafe(`
    insert into user_changes (user_id, last)
    select ${id('8000', 'n')}, ${tasksPerUser} from generate_series(1, ${users}) n`)
  await sql.unsafe(`
    insert into sessions (user_id, id, kind, scope, created_at, expires_at, last_seen_at)
    select ${id('8000', 'n')}, ${id('9000', 'n')}, 'sign-in', 'tasks:read tasks:write',
      now(), now() + interval '1 day', now() from generate_series(1, ${users}) n`)
  await withoutIndexes(sql, () => addTasks(sql, { users, tasksPerUser }))
  await sql.unsafe('vacuum (analyze)')
  await sql.unsafe('checkpoint')
  return sql
}

const id = (group: string, n: string) =>
  `('00000000-0000-7000-${group}-' || lpad(to_hex(${n}), 12, '0'))::uuid`

const addTasks = async (sql: Sql, { users, tasksPerUser }: Size) => {
  // The tasks of a user are spread over the table, as if they had been created over a year.
  await sql.unsafe(`
    insert into tasks (user_id, id, title, description, completed, completed_at, priority, due_at,
      tags, version, created_at, updated_at, change)
    select ${id('8000', 'n')},
      (lpad(to_hex(k), 8, '0') || '-0000-7000-a000-' || lpad(to_hex(n), 12, '0'))::uuid,
      'Task ' || k || ' of user ' || n || ', to be done',
      case when k % 2 = 0 then 'What there is to say about it fits into a line or two, as it does in most lists.' end,
      k % 3 = 0, case when k % 3 = 0 then moment end,
      (array['low', 'normal', 'high', 'urgent'])[k % 4 + 1]::priority,
      case when k % 5 = 0 then moment + interval '30 days' end,
      (array['{}', '{home}', '{work,"next week"}'])[k % 3 + 1]::text[], 1, moment, moment, k
    from generate_series(1, ${tasksPerUser}) k, generate_series(1, ${users}) n,
      lateral (select '${loadedAt}'::timestamptz - k * interval '17 minutes' - n * interval '10 milliseconds' as moment) at`)
}

/** Millions of rows load in minutes if indexes are created afterwards and foreign keys are not checked. */
const withoutIndexes = async (sql: Sql, work: () => Promise<void>) => {
  const indexes = await sql.unsafe<{ indexname: string; indexdef: string }[]>(
    "select indexname, indexdef from pg_indexes where tablename = 'tasks' and indexname <> 'tasks_user_id_id_pk'",
  )
  for (const { indexname } of indexes) await sql.unsafe(`drop index "${indexname}"`)
  await sql.unsafe("set session_replication_role = replica; set maintenance_work_mem = '512MB'")
  await work()
  await sql.unsafe('set session_replication_role = default')
  for (const { indexdef } of indexes) await sql.unsafe(indexdef)
}

/** Restores the data after a workload that writes: deletes new rows, and restores deleted ones. */
export const restore = async (sql: Sql) => {
  await sql.unsafe(`delete from tasks where created_at > '${loadedAt}'`)
  await sql.unsafe('update tasks set deleted_at = null where deleted_at is not null')
  await sql.unsafe('vacuum (analyze) tasks, user_changes, sessions')
}

/** A token for each user's session, as the service signs them. */
export const createAccessTokens = (secret: string, users: number) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const head = part({ alg: 'HS256', typ: 'at+jwt' })
  const iat = Math.floor(Date.now() / 1000)
  return Array.from({ length: users }, (_, index) => tokenOf(index + 1))

  function tokenOf(user: number, more: object = {}) {
    const names = { iss: 'taskwarden', aud: 'taskwarden-api' }
    const who = { sub: userId(user), sid: sessionId(user), jti: Bun.randomUUIDv7() }
    const text = `${head}.${part({ ...who, ...names, iat, exp: iat + 86_000, ...more })}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
}
