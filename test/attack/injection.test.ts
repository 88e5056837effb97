import { expect, test } from 'bun:test'
import { statements } from '../support/recorded-statements/log.ts'
import { sentBy, service } from '../support/service.ts'
import { randomOf } from '../support/walk-pages.ts'
import { budget, isLarge, seed } from './budget.ts'
import { texts } from './corpus.ts'
import { type Operation, readDocument } from './document.ts'
import { leaksIn, readJwtSecrets, wrongsOf } from './oracle.ts'
import { type Totals, totals } from './totals.ts'

const here = await service({
  RATE_LIMIT: '1000000',
  LOGIN_ATTEMPTS: '1000000',
  LOGIN_ATTEMPTS_PER_ACCOUNT: '1000000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '1000000',
})
const document = readDocument((await here.call('GET', '/docs/json')).body)

/** Surrounds each text, so that it is found wherever it appears. */
const mark = 'zq9'
const marked = texts.map((text) => mark + text + mark)
/** All texts, or a sample that differs by run and by position. */
const some = (place: string) => {
  const random = randomOf(seed ^ Bun.hash.crc32(place))
  return isLarge ? marked : Array.from({ length: 16 }, () => random.of(marked))
}

// biome-ignore lint/suspicious/noExplicitAny: schemas and bodies of any route
type Json = any

/** Bodies of an operation with the text at one position each, and the values of the example elsewhere. */
const valuesOf = (schema: Json, text: string): Json[] => {
  const { properties, items, type, examples, enum: values, anyOf } = document.resolved(schema)
  if (anyOf) return anyOf.flatMap((one: Json) => valuesOf(one, text))
  if (properties) {
    const usual = Object.fromEntries(
      Object.entries<Json>(properties).flatMap(([name, member]) => {
        const [example] = document.resolved(member).examples ?? []
        return example === undefined ? [] : [[name, example]]
      }),
    )
    const base = examples?.[0] ?? usual
    const inMembers = Object.entries<Json>(properties).flatMap(([name, member]) =>
      valuesOf(member, text).map((value) => ({ ...base, [name]: value })),
    )
    return [...inMembers, { ...base, [text]: 1 }]
  }
  if (items) return valuesOf(items, text).map((one) => [one])
  return [type].flat().includes('string') || values ? [text] : [text, [text]]
}

const judged = async (
  count: Totals,
  secrets: readonly string[],
  what: string,
  ask: () => ReturnType<typeof here.call>,
) => {
  statements.length = 0
  const answer = await ask()
  count.tried(answer.status >= 400)
  count.allWrong(wrongsOf(answer, { canaries: secrets, isForm: /oauth/.test(what) }), what)
  count.allWrong(leaksIn(here.log, secrets), what)
  for (const { statement } of statements)
    if (statement.includes(mark)) count.wrong(`text in a statement: ${statement}: ${what}`)
  return answer
}

test('text in a body is never part of a statement, and is stored unchanged or refused', async () => {
  const count = totals('injection', 'injection: each text at each position of each body')
  let ada = await here.someone()
  let secrets = await readJwtSecrets(ada)
  const operations = document.operations.filter(({ bodies }) => bodies.length > 0)

  for (const operation of operations)
    for (const text of some(operation.id)) {
      if (
        operation.id === 'changePassword' ||
        operation.id === 'deleteCurrentUser' ||
        operation.id === 'updateCurrentUser'
      ) {
        ada = await here.someone()
        secrets = await readJwtSecrets(ada)
      }
      const { body: task } = await ada.call('POST', '/api/tasks', { title: 'x' })
      for (const body of bodiesOf(operation, text)) {
        const path = operation.path.replace(/:\w+/g, task.id)
        const headers = { 'content-type': operation.bodies[0]?.type ?? '' }
        const what = `${operation.method} ${path} ${body}`
        const answer = await judged(count, secrets, what, () =>
          here.call(operation.method, path, { token: ada.token, body, headers }),
        )
        if (answer.status < 300 && !isVerbatim(answer.body, JSON.stringify(text), body))
          count.wrong(`kept otherwise: ${answer.text.slice(0, 300)}: ${what}`)
      }
    }

  count.matches()
})

/** The members that the document says are ignored, as `version` in a task that is sent as it was read. */
const ignored = new Set(
  document.operations
    .flatMap(({ bodies }) => bodies)
    .flatMap(({ schema }) => [
      schema,
      ...Object.values<Json>(document.resolved(schema).properties ?? {}),
    ])
    .map((schema) => document.resolved(schema))
    .flatMap(({ properties, items }) =>
      Object.entries<Json>(properties ?? document.resolved(items).properties ?? {}),
    )
    .filter(([, member]) => member.description === 'Ignored')
    .map(([name]) => name),
)

const bodiesOf = ({ bodies: [media] }: Operation, text: string): string[] => {
  const values = valuesOf(media?.schema, text)
  if (media?.type.endsWith('urlencoded'))
    return values.map((value) =>
      new URLSearchParams(
        Object.entries(value).map(([name, one]): [string, string] => [
          name.toWellFormed(),
          String(one).toWellFormed(),
        ]),
      ).toString(),
    )
  return values.map((value) => JSON.stringify(value))
}

/** The response contains the text as it was sent, unless it contains nothing of the request. */
const isVerbatim = (answered: Json, text: string, sent: string): boolean => {
  if (answered?.title === undefined && answered?.created === undefined) return true
  const isStored = (name: string, value: Json) => (ignored.has(name) ? undefined : value)
  const stored = JSON.stringify(JSON.parse(sent, isStored))
  return !stored.includes(text) || JSON.stringify(answered).includes(text)
}

test('text in an id, a query or a header is never part of a statement', async () => {
  const count = totals('injection', 'injection: each text in ids, queries, headers')
  const ada = await here.someone()
  const secrets = await readJwtSecrets(ada)

  for (const operation of document.operations)
    for (const text of some(operation.path)) {
      const encoded = encodeURIComponent(text.toWellFormed())
      const latin = text.replace(/[^\x20-\x7e\x80-\xff]/g, '')
      const filled = operation.path.replace(/:\w+/g, Bun.randomUUIDv7())
      const asked = [
        ...(operation.path.includes(':')
          ? [{ path: operation.path.replace(/:\w+/g, encoded), headers: {} }]
          : []),
        ...[...operation.query.map(({ name }) => name), mark].map((name) => ({
          path: `${filled}?${name}=${encoded}`,
          headers: {},
        })),
        ...[...operation.headers.map(({ name }) => name), 'accept', 'x-request-id'].map((name) => ({
          path: filled,
          headers: { [name]: latin },
        })),
      ]
      // Logout is not tested here, and has a small limit.
      if (/sessions|logout|tokens|password/i.test(operation.path) && operation.method !== 'GET')
        continue
      if (operation.id === 'deleteCurrentUser') continue
      for (const { path, headers } of asked)
        await judged(count, secrets, `${operation.method} ${path} ${JSON.stringify(headers)}`, () =>
          here.call(operation.method, path, { token: ada.token, headers }),
        )
    }

  count.matches()
})

test('a search finds its words literally, without wildcards', async () => {
  const count = totals('injection', 'injection: a search for each text among all')
  const ada = await here.someone()
  // PostgreSQL and JavaScript differ in the lower case of some characters.
  const candidates = [...new Set(texts)].filter((text) => text !== '' && text !== 'İI')
  const titles: string[] = []
  for (const title of candidates)
    if ((await ada.call('POST', '/api/tasks', { title })).status === 201) titles.push(title)
  expect(titles.length).toBeGreaterThan(candidates.length / 2)
  const compared = (text: string) => text.normalize('NFC').toLowerCase()
  const needles = isLarge
    ? titles.flatMap((text) => [text, text.slice(1), text.slice(0, 1)])
    : titles

  for (const needle of needles.filter((text) => text !== '').slice(0, budget(200, 1000))) {
    if (!needle.isWellFormed()) continue
    const found = await ada.call('GET', `/api/tasks?limit=200&q=${encodeURIComponent(needle)}`)
    const words = compared(needle).split(/\s+/)
    const wanted = titles.filter((title) => words.every((word) => compared(title).includes(word)))
    const got = found.body.tasks?.map(({ title }: { title: string }) => title)
    count.tried(found.status >= 400)
    count.allWrong(wrongsOf(found), needle)
    if (JSON.stringify(got?.sort()) !== JSON.stringify(wanted.sort()))
      count.wrong(
        `${JSON.stringify(needle)} finds ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`,
      )
  }

  count.matches()
})

test('the statements of a request are recorded', async () => {
  const ada = await here.someone()

  const sent = await sentBy(() => ada.call('POST', '/api/tasks', { title: mark }))

  expect(sent.some(({ params }) => params.includes(mark))).toBe(true)
})
