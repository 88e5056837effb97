import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import postgres from 'postgres'
import { cleanUp, onPostgres, type RunningService, start } from '../binary/process.ts'

const sql = postgres(process.env.CITUS_URL ?? '', { max: 1, onnotice: () => {} })
type Person = Awaited<ReturnType<RunningService['someone']>> & { task: string; list: string }

/** The port of the node that has the rows of a user. */
const portOf = async (userId: string): Promise<number> => {
  const [row] = await sql`select nodeport from pg_dist_shard_placement
    where shardid = get_shard_id_for_distribution_column('user_changes', ${userId}::uuid)`
  return Number(row?.nodeport)
}

/** Makes new connections to a node fail. Those that exist belong to processes that were stopped. */
const lose = (port: number) => sql`update pg_dist_node set nodeport = 1 where nodeport = ${port}`
const find = (port: number) => sql`update pg_dist_node set nodeport = ${port} where nodeport = 1`

const begin = async () =>
  start({ ...(await onPostgres()), RATE_LIMIT: '100000', LOGIN_ATTEMPTS_PER_ADDRESS: '1000' })
const people = new Map<number, Person>()

beforeAll(async () => {
  const service = await begin()
  while (people.size < 2) {
    const person = await service.someone()
    const made = async (path: string, body: object) =>
      (await service.call('POST', path, { token: person.token, body })).body.id
    const task = await made('/api/tasks', { title: 'x' })
    const list = await made('/api/lists', { name: 'x' })
    people.set(await portOf(person.id), { ...person, task, list })
  }
  await service.stop()
}, 60_000)

const first = <T>(values: Iterable<T>): T => [...values][0]!

afterEach(async () => {
  for (const port of people.keys()) await find(port)
})
afterAll(async () => {
  await cleanUp()
  await sql.end()
})

/** The status of each kind of request that concerns one user. */
const statusesOf = async (
  service: RunningService,
  { email, password, token, task, list }: Person,
) => {
  const path = `/api/tasks/${task}`
  const requests: [method: string, path: string, body?: object][] = [
    ['GET', '/api/tasks'],
    ['GET', '/api/tasks?due=today&sort=priority'],
    ['GET', path],
    ['GET', '/api/tasks/counts'],
    ['GET', '/api/tasks/changes?include=lists'],
    ['GET', '/api/lists'],
    ['GET', '/api/auth/me'],
    ['POST', '/api/tasks', { title: 'y' }],
    ['PUT', path, { title: 'y' }],
    ['PATCH', path, { title: 'z' }],
    ['PATCH', `${path}/complete`],
    ['POST', `${path}/move`, { list_id: list }],
    ['DELETE', path],
    ['POST', `${path}/restore`],
    ['PATCH', `/api/lists/${list}`, { name: 'y' }],
    ['POST', '/api/auth/refresh'],
    ['POST', '/api/auth/login', { email, password }],
  ]
  const statuses: [string, number][] = []
  for (const [method, to, body] of requests)
    statuses.push([`${method} ${to}`, (await service.call(method, to, { token, body })).status])
  return statuses
}
const succeeded = ([, status]: [string, number]) => status < 300

test('without one node, the users of the others read, write and sign in; its own users get a 503', async () => {
  const lost = first(people.keys())
  await lose(lost)
  const service = await begin()
  const [ofLost, ofOther] = [people.get(lost)!, [...people.values()].at(-1)!]

  const kept = await statusesOf(service, ofOther)
  expect(kept.filter((one) => !succeeded(one))).toEqual([])
  const refused = await statusesOf(service, ofLost)
  expect(refused.filter(([, status]) => status !== 503)).toEqual([])
  // An account is on all nodes.
  await expect(service.someone()).rejects.toThrow()
  const body = { email: `${Bun.randomUUIDv7()}@example.test`, password: ofLost.password }
  expect((await service.call('POST', '/api/auth/register', { body })).status).toBe(503)

  await find(lost)
  const again = await statusesOf(service, ofLost)
  expect(again.filter((one) => !succeeded(one))).toEqual([])
  await service.stop()
}, 120_000)
