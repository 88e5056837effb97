import { expect, test } from 'bun:test'
import { isUtf8 } from 'node:buffer'
import { statements } from '../support/recorded-statements/log.ts'
import { type Answer, rowsOf, service } from '../support/service.ts'
import type { Random } from '../support/walk-pages.ts'
import { budget, eachCase } from './budget.ts'
import { texts } from './corpus.ts'
import { type Operation, readDocument } from './document.ts'
import { bentBytes, bentJson, mediaTypes } from './mutations.ts'
import { leaksIn, readJwtSecrets, wrongsOf } from './oracle.ts'
import { type Totals, totals } from './totals.ts'

const settings = {
  RATE_LIMIT: '1000000',
  LOGIN_ATTEMPTS: '1000000',
  LOGIN_ATTEMPTS_PER_ACCOUNT: '1000000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '1000000',
}
const lanes = 6
/** UTF-8, or UTF-16 with a byte order mark, which CSV may have. */
const isText = (bytes: Uint8Array) =>
  isUtf8(bytes) || /^(fffe|feff)/.test(Buffer.from(bytes.subarray(0, 2)).toString('hex'))

/** A response to a body of 64 KiB takes milliseconds. */
const costMaxMicroseconds = 3_000_000
/** After this many cases, a lane continues with a new user, whose list is short and whose sessions may end. */
const casesAsOne = 150

/** A user with a row of each kind. */
const settled = async ({ someone }: Awaited<ReturnType<typeof service>>) => {
  const ada = await someone()
  const { body: task } = await ada.call('POST', '/api/tasks', { title: 'one' })
  const { body: gone } = await ada.call('POST', '/api/tasks', { title: 'two' })
  await ada.call('DELETE', `/api/tasks/${gone.id}`)
  return { ...ada, ids: [task.id, task.id, gone.id], secrets: await readJwtSecrets(ada) }
}

const here = await service(settings)
const document = readDocument((await here.call('GET', '/docs/json')).body, (name, random) => {
  if (/password/.test(name))
    return random.of(['wrong donkey power plant', 'x', 'password', 'e\u0301'.repeat(20)])
  if (name === 'id' || name === 'delete') return random.chance(70) ? own : undefined
  return undefined
})
/** Stands for an id of the requesting user. */
const own = '(own id)'
const withBody = document.operations.filter(({ bodies }) => bodies.length > 0)

/** Reuses the user of a lane while possible. */
const people = () => {
  const current: (Awaited<ReturnType<typeof settled>> & { used: number })[] = []
  return async (lane: number, isSpent = false) => {
    const known = current[lane]
    if (known !== undefined && !isSpent && known.used++ < casesAsOne) return known
    const fresh = { ...(await settled(here)), used: 0 }
    current[lane] = fresh
    return fresh
  }
}

const pathOf = (path: string, ids: readonly string[], random: Random) =>
  path.replace(/:\w+/g, () =>
    random.chance(70)
      ? random.of(ids)
      : encodeURIComponent(random.of([...texts, Bun.randomUUIDv7()]).toWellFormed()).slice(0, 300),
  )

const asked = (
  { method, path }: { method: string; path: string },
  body: unknown,
  headers: Record<string, string>,
) =>
  `${method} ${path} ${JSON.stringify(headers)} ${typeof body === 'string' ? body : Buffer.from((body as Uint8Array) ?? '').toString('base64')}`

const judge = (
  count: Totals,
  answer: Answer,
  ada: { secrets: string[] },
  what: string,
  at: number,
) => {
  count.tried(answer.status >= 400)
  const isForm = what.includes('/api/oauth/token')
  count.allWrong(wrongsOf(answer, { canaries: ada.secrets, isForm }), what, at)
  count.allWrong(leaksIn(here.log, ada.secrets), what, at)
  statements.length = 0
}

/** Rules beyond the schemas of the document: totals, and members that depend on each other. */
const isSpecial = (id: string, value: unknown): boolean => {
  const { create = [], update = [], complete = [], delete: removed = [] } = Object(value)
  if (id === 'batchTasks') {
    const total = [create, update, complete, removed].flat().length
    const ids = [...update, ...complete].map((one) => one.id).concat(removed)
    const bare = update.some((one: object) =>
      Object.keys(one).every((name) => /^(id|version)$/.test(name)),
    )
    return total === 0 || total > 100 || new Set(ids).size < ids.length || bare
  }
  if (id === 'importTasks')
    return Object(value).tasks.some(
      (one: Record<string, unknown>) =>
        one.completed !== true && typeof one.completed_at === 'string',
    )
  return (
    id === 'updateCurrentUser' && 'email' in Object(value) !== 'current_password' in Object(value)
  )
}

/**
 * What depends on stored rows or on other members: lists and neighbours that do not exist, a time and a
 * day, a time zone, a recurrence rule.
 */
const dependsOnMore = (id: string, value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false
  const { list_id, due_at, due_on, before, after, time_zone, rrule } = value as Record<
    string,
    unknown
  >
  return (
    typeof (list_id ?? before ?? after ?? time_zone ?? rrule) === 'string' ||
    (typeof due_at === 'string' && typeof due_on === 'string') ||
    (/^(updateTask|batchTasks)$/.test(id) && typeof (due_at ?? due_on) === 'string') ||
    Object.values(value).some((one) => dependsOnMore(id, one))
  )
}

const formOf = (value: Record<string, unknown>) =>
  `${new URLSearchParams(Object.entries(value).map(([name, one]): [string, string] => [name, String(one).toWellFormed()]))}`

test('a body that is valid by the document is never refused as invalid', async () => {
  const count = totals('bodies', 'bodies: valid by the document')
  const person = people()

  await eachCase('fitting', budget(1500, 15_000), lanes, async (random, at, lane) => {
    const ada = await person(lane)
    const operation = random.of(withBody)
    const { type, schema } = random.of(operation.bodies)
    if (type.startsWith('text/') || type.endsWith('ndjson')) return
    const good = JSON.stringify(document.made(schema, random))
    const value = JSON.parse(good.replaceAll(own, () => random.of(ada.ids)))
    const isForm = type.endsWith('urlencoded')
    const body = isForm ? formOf(value) : JSON.stringify(value)
    const path = operation.path.replace(/:\w+/g, ada.ids[0] ?? '')
    const headers = { 'content-type': type }
    if (Buffer.byteLength(body) > 65_536) return
    const isSaidTwice = isSpecial(operation.id, value) || dependsOnMore(operation.id, value)

    const answer = await here.call(operation.method, path, { token: ada.token, body, headers })

    const what = asked({ ...operation, path }, body, headers)
    judge(count, answer, ada, what, at)
    if (
      answer.status >= 400 &&
      /invalid-request|malformed|unsupported/.test(answer.text) &&
      !isSaidTwice
    )
      count.wrong(`refused, though the document allows it: ${answer.text}: ${what}`, at)
    count.allWrong(notVerbatim(answer, value), what, at)
    if (answer.status === 401) await person(lane, true)
  })

  count.matches()
})

/** Stored text equals the sent text, character by character. */
const notVerbatim = ({ status, body }: Answer, value: unknown): string[] => {
  if (status >= 300 || typeof body?.title !== 'string') return []
  const sent = Object(value)
  return ['title', 'description', 'priority', 'tags']
    .filter(
      (name) =>
        name in sent && sent[name] !== null && !Bun.deepEquals(body[name], sent[name], true),
    )
    .map((name) => `kept another ${name}`)
}

test('a mutated body never causes a 500, and is never accepted if the document forbids it', async () => {
  const count = totals('bodies', 'bodies: mutated')
  const person = people()
  const outsider = await here.someone()
  const before = await rowsOf(outsider.id)

  await eachCase('bent bodies', budget(4000, 50_000), lanes, async (random, at, lane) => {
    const ada = await person(lane)
    const operation = random.of(withBody)
    const { type, schema } = random.of(operation.bodies)
    const { body, kind } = bodyOf(operation, type, schema, random, ada.ids)
    const path = pathOf(operation.path, ada.ids, random)
    const isOdd = random.chance(8)
    const headers: Record<string, string> = { 'content-type': isOdd ? random.of(mediaTypes) : type }
    if (random.chance(3)) headers['content-encoding'] = random.of(['gzip', 'br', 'identity', 'x'])
    if (random.chance(10))
      headers['idempotency-key'] = random.of(['k', '"k"', 'x'.repeat(256), '""'])
    if (random.chance(10)) headers['if-match'] = random.of(['"1"', '*', '1', 'W/"1"', '"', '"1",'])
    if (random.chance(5)) headers['x-http-method-override'] = 'DELETE'

    const spent = process.cpuUsage()

    const answer = await here.call(operation.method, path, { token: ada.token, body, headers })

    // CPU time, so that it does not depend on a busy machine. It includes the other lanes.
    const { user, system } = process.cpuUsage(spent)
    const what = asked({ ...operation, path }, body, headers)
    judge(count, answer, ada, what, at)
    if (user + system > costMaxMicroseconds) count.wrong(`costs ${user + system} µs: ${what}`, at)
    if (answer.status < 300 && kind === 'json' && !isAllowed(operation, schema, body))
      count.wrong(`taken, though the document forbids it (${answer.status}): ${what}`, at)
    // Mutated bytes may still be text.
    if (answer.status < 300 && body instanceof Uint8Array && !isText(body))
      count.wrong(`taken, though not UTF-8: ${what}`, at)
    if (answer.status < 300 && isOdd && !isTaken(operation, headers))
      count.wrong(`a media type that is not documented: ${what}`, at)
    if (answer.status === 401) await person(lane, true)
  })

  count.matches()
  expect(await rowsOf(outsider.id)).toEqual(before)
})

const isTaken = ({ bodies }: Operation, headers: Record<string, string>) => {
  const essence = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  return bodies.some(({ type }) => type === essence)
}

/** Whether an independent validator accepts the body that the service accepted. */
const isAllowed = ({ mayBeEmpty }: Operation, schema: unknown, body: string | Uint8Array) => {
  if (typeof body !== 'string') return false
  if (body === '') return mayBeEmpty
  try {
    return document.fits(schema, JSON.parse(body))
  } catch {
    return false
  }
}

type Sent = { body: string | Uint8Array; kind: 'json' | 'text' | 'bytes' }

const bodyOf = (
  operation: Operation,
  type: string,
  schema: unknown,
  random: Random,
  ids: readonly string[],
): Sent => {
  const good = document.made(
    type.startsWith('text/') || type.endsWith('ndjson') ? operation.bodies[0]?.schema : schema,
    random,
  )
  const bent = bentJson(good, random).replaceAll(own, () => random.of(ids))
  if (type.endsWith('urlencoded')) {
    const form = random.of([
      () =>
        formOf({ ...good, [random.of(['username', 'password', 'grant_type'])]: random.of(texts) }),
      () =>
        `${formOf(good)}&${random.of(['username=x', 'password=%', '%00=1', '&&=', 'a=%ff', 'scope=x'])}`,
      () => bent,
      () => formOf(good).slice(0, random.below(60)),
    ])()
    return { body: form, kind: 'text' }
  }
  if (random.chance(8)) {
    const text = random.chance(30) ? bent : JSON.stringify(good)
    return {
      body: bentBytes(
        text.replaceAll(own, () => random.of(ids)),
        random,
      ),
      kind: 'bytes',
    }
  }
  if (type.endsWith('ndjson')) {
    const lines = [JSON.stringify(good.tasks?.[0] ?? {}), bent, bentJson({ title: 'x' }, random)]
    return { body: lines.join(random.of(['\n', '\r\n', '\r', '\n\n', ' '])), kind: 'text' }
  }
  if (type === 'text/csv') return { body: csvOf(random), kind: 'text' }
  if (type === 'text/calendar') return { body: calendarOf(random), kind: 'text' }
  return { body: bent, kind: 'json' }
}

const csvOf = (random: Random): string => {
  const columns = ['title', 'description', 'completed', 'priority', 'due_at', 'tags', 'created_at']
  const cell = () => {
    const text = random
      .of([...texts, 'low', 'true', '2026-01-01T00:00:00Z', '["a"]', ''])
      .toWellFormed()
    return random.chance(60) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const head = columns.filter(() => random.chance(60))
  const header = random.chance(80) ? ['title', ...head.filter((name) => name !== 'title')] : head
  const rows = Array.from({ length: random.below(6) }, () =>
    Array.from({ length: header.length + random.of([0, 0, 0, 0, 1, -1]) || 1 }, cell).join(','),
  )
  return [header.join(','), ...rows].join(random.of(['\n', '\r\n', '\r']))
}

const calendarOf = (random: Random): string => {
  const names = [
    'UID',
    'SUMMARY',
    'DESCRIPTION',
    'STATUS',
    'PRIORITY',
    'DUE',
    'RRULE',
    'CATEGORIES',
  ]
  const values = [...texts, 'NEEDS-ACTION', '1', '20260101T000000Z', '20260101', 'FREQ=DAILY']
  const line = () =>
    `${random.of(names)}${random.of([':', ':', ';TZID=X:', ';VALUE=DATE:', ''])}${random.of(values).toWellFormed()}`
  const lines = [
    'BEGIN:VCALENDAR',
    'BEGIN:VTODO',
    ...Array.from({ length: random.below(6) }, line),
    'END:VTODO',
    'END:VCALENDAR',
  ]
  return lines.filter(() => random.chance(97)).join(random.of(['\n', '\r\n']))
}

test('a mutated query or header never causes a 500, and an unknown one is never accepted', async () => {
  const count = totals('bodies', 'queries and headers: mutated')
  const person = people()

  await eachCase('queries', budget(2000, 30_000), lanes, async (random, at, lane) => {
    const ada = await person(lane)
    const operation = random.of(document.operations.filter(({ id }) => id !== 'exportTasks'))
    const names = [
      ...operation.query.map(({ name }) => name),
      'user_id',
      '__proto__',
      'limit',
      'q',
      '',
    ]
    const values = [
      ...texts,
      '1e3',
      '0x10',
      ' 5',
      '-1',
      '201',
      '0',
      'true',
      'TRUE',
      '2026-01-01T00:00:00Z',
    ]
    const parts = Array.from({ length: 1 + random.below(3) }, () => {
      const text = random.of(values).toWellFormed()
      const value = random.chance(80)
        ? encodeURIComponent(text)
        : text.replace(/[^\x21-\x7e]|#/g, '%')
      return `${random.of(names)}${random.of(['=', '=', '=', '', '==', '[]='])}${value}`
    })
    const path = pathOf(operation.path, ada.ids, random)
    const headers = headersOf(random, operation)
    const url = random.chance(70) ? `${path}?${parts.join(random.of(['&', '&', '&&', ';']))}` : path
    const method = random.chance(90)
      ? operation.method
      : random.of(['GET', 'POST', 'DELETE', 'LOCK'])

    const answer = await here.call(method, url, { token: ada.token, headers })

    const what = `${method} ${url} ${JSON.stringify(headers)}`
    judge(count, answer, ada, what, at)
    const given = new URLSearchParams(url.split('?')[1])
    const isStray = ['user_id', '__proto__'].some((name) => given.has(name))
    if (answer.status < 300 && isStray && operation.path.startsWith('/api/'))
      count.wrong(`an unknown parameter is taken (${answer.status}): ${what}`, at)
    if (answer.status === 401 || answer.status === 429) await person(lane, true)
  })

  count.matches()
})

const headersOf = (random: Random, { headers }: Operation): Record<string, string> => {
  const sent: Record<string, string> = {}
  const names = [...headers.map(({ name }) => name), 'X-Request-Id', 'Accept', 'Accept-Encoding']
  for (const name of names) {
    if (random.chance(50)) continue
    // A header consists of bytes: characters beyond Latin-1 and line ends cannot be sent.
    const text = random.of([...texts, '"1"', '*', 'W/"1"', '"1", "2"', 'x'.repeat(5000)])
    sent[name] = text.replace(/[^\x20-\x7e\x80-\xff]/g, '')
  }
  return sent
}
