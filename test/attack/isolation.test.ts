import { expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { idempotencyKeys, taskTombstones } from '../../src/db/schema.ts'
import { statements } from '../support/recorded-statements/log.ts'
import { protectedRoutes } from '../support/requests.ts'
import { type Answer, comparable, database, rowsOf, service } from '../support/service.ts'
import type { Random } from '../support/walk-pages.ts'
import { budget, eachCase } from './budget.ts'
import { type Operation, readDocument } from './document.ts'
import { leaksIn, readJwtSecrets, wrongsOf } from './oracle.ts'
import { totals } from './totals.ts'

const here = await service({
  RATE_LIMIT: '1000000',
  LOGIN_ATTEMPTS: '1000000',
  LOGIN_ATTEMPTS_PER_ACCOUNT: '1000000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '1000000',
})
const lanes = 6
/** Stands for a value of Bob's in a request. It is filled with his value or a made-up one. */
const his = '(his)'

const document = readDocument((await here.call('GET', '/docs/json')).body, (name, random) => {
  if (name === 'current_password') return random.of(['x', 'correct horse battery'])
  if (/password/.test(name)) return 'wrong donkey power plant'
  return name === 'id' || name === 'delete' || random.chance(3) ? his : undefined
})

/** Bob has a row in every table, with unique texts. */
const victim = async () => {
  const bob = await here.someone()
  const word = () => `canary-${Bun.randomUUIDv7()}`
  const texts = [word(), word(), word(), word(), word()]
  const [title = '', description = '', tag = '', name = '', gone = ''] = texts
  await bob.call('PATCH', '/api/auth/me', { name })
  const key = word()
  const draft = { title, description, tags: [tag] }
  const keyed = { 'idempotency-key': key }
  const { body: task } = await bob.call('POST', '/api/tasks', draft, keyed)
  const { body: other } = await bob.call('POST', '/api/tasks', draft)
  for (const round of [1, 2]) {
    const { body } = await bob.call('POST', '/api/tasks', { title: `${gone}${round}` })
    await bob.call('DELETE', `/api/tasks/${body.id}`)
  }
  const { body: erased } = await bob.call('POST', '/api/tasks', { title: gone })
  await bob.call('DELETE', `/api/tasks/${erased.id}`)
  await bob.call('DELETE', `/api/tasks/trash/${erased.id}`)
  const { body: personal } = await bob.call('POST', '/api/auth/tokens', {
    name,
    scope: 'tasks:write',
  })
  const { body: trash } = await bob.call('GET', '/api/tasks/trash?limit=1')
  const { body: list } = await bob.call('GET', '/api/tasks?limit=1')
  const { body: changes } = await bob.call('GET', '/api/tasks/changes?limit=1')
  const { body: listed } = await bob.call('GET', '/api/auth/sessions')
  const sessions = listed.sessions.map(({ id }: { id: string }) => id)

  return {
    ...bob,
    draft,
    key,
    ids: [bob.id, task.id, other.id, erased.id, trash.tasks[0].id, personal.id, ...sessions],
    texts,
    sealed: [list.next_cursor, trash.next_cursor, changes.next] as string[],
    tokens: [bob.token, personal.access_token] as string[],
    canaries: [...texts, bob.email, personal.access_token, ...(await readJwtSecrets(bob))].filter(
      (text) => text !== bob.password,
    ),
  }
}

/** All rows of a user, including the tables that `rowsOf` leaves out. */
const everythingOf = async (id: string) => {
  const { db } = await database()
  return {
    ...(await rowsOf(id)),
    keys: await db.select().from(idempotencyKeys).where(eq(idempotencyKeys.user_id, id)),
    tombstones: await db.select().from(taskTombstones).where(eq(taskTombstones.user_id, id)),
  }
}

type Bob = Awaited<ReturnType<typeof victim>>
type Asked = { method: string; path: string; body: string | undefined; headers: Headers }

const verbs = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']

/** A request with positions for Bob's values: in the path, the query, the body and the headers. */
const requestOf = (
  route: { method: string; path: string; body: unknown },
  operation: Operation | undefined,
  bob: Bob,
  random: Random,
) => {
  const spelled = () =>
    random.of([his, his, his, his, `urn:uuid:${his}`, `${his}%00`, `%7B${his}%7D`])
  const named = ['user_id', 'owner_id', 'sub', 'id', 'access_token', 'token']
  const given = (name: string) => {
    if (/cursor|since/.test(name)) return `(sealed ${random.below(bob.sealed.length)})`
    if (/token/.test(name)) return '(his token)'
    if (/^(q|tag)$/.test(name)) return '(his text)'
    if (name === 'limit') return String(1 + random.below(200))
    return random.chance(60) ? his : undefined
  }
  const query = [...(operation?.query ?? []).map(({ name }) => name), ...named].flatMap((name) => {
    const wanted = named.includes(name) ? 3 : 25
    const value = given(name)
    return random.chance(wanted) && value !== undefined ? [`${name}=${value}`] : []
  })
  const [media] = operation?.bodies ?? []
  const value = media ? document.made(media.schema, random) : route.body
  if (random.chance(4) && typeof value === 'object' && value !== null)
    Object.assign(value, { [random.of(named)]: his })

  const headers: Record<string, string> = {}
  if (random.chance(25)) headers[random.of(['if-match', 'if-none-match'])] = '"1"'
  if (random.chance(20)) headers['idempotency-key'] = '(his key)'
  if (random.chance(10)) headers[random.of(['x-user-id', 'x-user', 'x-auth-user', 'from'])] = his
  if (random.chance(5)) headers.cookie = 'access_token=(his token); session=(his token)'
  if (random.chance(5)) headers['x-http-method-override'] = random.of(verbs)
  if (random.chance(5)) headers['x-original-url'] = `/api/tasks/${his}`

  return {
    method: random.chance(85) ? route.method : random.of(verbs),
    path: `${route.path.replace(/:\w+/g, spelled)}${query.length > 0 ? `?${query.join('&')}` : ''}`,
    // Exactly the request that Bob used his key for.
    body: headers['idempotency-key'] && random.chance(50) ? bob.draft : value,
    headers,
  }
}

/** The request with each position filled: with Bob's values, or with made-up ones. */
const filledBy = (
  request: ReturnType<typeof requestOf>,
  fill: (kind: string, at: number) => string,
): Asked => {
  const filled = (text: string) =>
    text
      .replaceAll(his, () => fill('id', 0))
      .replace(/\(sealed (\d)\)/g, (_, at) => fill('sealed', Number(at)))
      .replace(/\(his (\w+)\)/g, (_, kind) => fill(kind, 0))
  const { method, path, body, headers } = request
  const hasBody = body !== undefined && method !== 'GET' && method !== 'HEAD'
  return {
    method,
    path: filled(path),
    body: hasBody ? filled(JSON.stringify(body)) : undefined,
    headers: new Headers(Object.entries(headers).map(([name, one]) => [name, filled(one)])),
  }
}

const idWithin = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g
const withoutIds = (answer: Answer) => {
  const { status, headers, text } = comparable(answer)
  return JSON.stringify({ status, headers, text }).replace(idWithin, '(id)')
}

test('no route, method or position of a request reaches another user’s rows', async () => {
  const bob = await victim()
  const before = await everythingOf(bob.id)
  const routes = protectedRoutes(here.app)
  const count = totals('isolation', 'isolation: A’s token with B’s ids')
  const operationOf = new Map<string, Operation>(
    document.operations.map((one) => [`${one.method} ${one.path}`, one]),
  )
  // Without an operation in the document, the parameters of a route would not be tested.
  for (const { name } of routes) expect([name, operationOf.has(name)]).toEqual([name, true])

  const people: { id: string; token: string; used: number; sent: string; keyed: boolean }[] = []
  const person = async (lane: number) => {
    const known = people[lane]
    if (known !== undefined && known.used++ < 40) return known
    const { id, token, call } = await here.someone()
    for (const title of ['one', 'two', 'three']) await call('POST', '/api/tasks', { title })
    people[lane] = { id, token, used: 0, sent: '', keyed: false }
    return people[lane]
  }

  await eachCase('isolation', budget(2500, 66_000), lanes, async (random, at, lane) => {
    const ada = await person(lane)
    const route = random.of(routes)
    const request = requestOf(route, operationOf.get(route.name), bob, random)
    const ask = async (fill: (kind: string, at: number) => string) => {
      const { method, path, body, headers } = filledBy(request, fill)
      const sent = { body, token: ada.token, headers: Object.fromEntries(headers) }
      if (body !== undefined) sent.headers['content-type'] = 'application/json'
      const answer = await here.call(method, path, sent)
      statements.length = 0
      count.tried(answer.status >= 400)
      const what = `${method} ${path} ${JSON.stringify(sent.headers)} ${body}`
      return { answer, what, written: body ?? '' }
    }
    const [id, token, text] = [random.of(bob.ids), random.of(bob.tokens), random.of(bob.texts)]
    const real = (kind: string, place: number) =>
      ({ id, token, text, key: bob.key, sealed: bob.sealed[place] })[kind] ?? ''
    const nobodys = Bun.randomUUIDv7()
    const madeUp = (kind: string) => (/id|key/.test(kind) ? nobodys : `x${nobodys}`)

    const { answer, what, written } = await ask(real)

    // Ada may read the text that she has written into her own task.
    ada.sent += written
    const unsent = [...bob.canaries, ...bob.ids].filter((one) => !(ada.sent + what).includes(one))
    count.allWrong(wrongsOf(answer, { canaries: unsent }), what, at)
    count.allWrong(leaksIn(here.log, [...bob.canaries, ada.token]), what, at)
    const owners = [...answer.text.matchAll(/"user_id":"([^"]*)"/g)].map(([, owner]) => owner)
    if (owners.some((owner) => owner !== ada.id)) count.wrong(`tells of another: ${what}`, at)
    const isReplay = answer.headers.has('idempotency-replayed') && !owners.includes(ada.id)
    // A response to Ada's own use of this key may be replayed.
    if (isReplay && !ada.keyed) count.wrong(`replays another’s answer: ${what}`, at)
    if (answer.status < 400 && /^(GET|PUT|PATCH|DELETE|POST)$/.test(request.method))
      if (request.path.split('?')[0]?.includes(his))
        count.wrong(`reaches what is not hers (${answer.status}): ${what}`, at)

    // For Ada, Bob's values and made-up values get the same response.
    const isSpent = answer.status === 401 || answer.status === 429
    const isMismatch = answer.text.includes('idempotency-mismatch')
    if (isMismatch && !ada.keyed) count.wrong(`another’s key is in her way: ${what}`, at)
    ada.keyed ||= request.headers['idempotency-key'] !== undefined
    if (answer.status >= 400 && !isSpent && !isMismatch) {
      const twin = await ask(madeUp)
      const [one, other] = [withoutIds(answer), withoutIds(twin.answer)]
      if (one !== other && twin.answer.status !== 429 && twin.answer.status !== 401)
        count.wrong(`differs: ${one} and ${other}: ${what}`, at)
    }
    if (answer.status === 401 || answer.status === 429) ada.used = 1000
  })

  count.matches()
  expect(await everythingOf(bob.id)).toEqual(before)
  expect((await bob.call('GET', '/api/tasks')).body.tasks).toHaveLength(2)
})
