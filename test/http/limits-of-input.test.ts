import { describe, expect, test } from 'bun:test'
import { bodies } from '../support/requests.ts'
import { filled, type Someone, service } from '../support/service.ts'

// biome-ignore lint/suspicious/noExplicitAny: any schema of the OpenAPI document
type Schema = any

const documentOf = async () => {
  const { call } = await service()
  return (await call('GET', '/docs/json')).body
}

const rangeOf = (least: number | undefined, most: number | undefined, what = '') =>
  least === undefined && most === undefined ? [] : [`${least ?? 0}..${most ?? ''}${what}`]

/** The bounds of a schema as text, member by member. */
const boundsIn = (schema: Schema, at: string): string[] => {
  if (schema === null || typeof schema !== 'object') return []
  const facts = [
    ...rangeOf(schema.minLength, schema.maxLength, ' characters'),
    ...rangeOf(schema.minimum, schema.maximum),
    ...rangeOf(schema.minItems, schema.maxItems, ' items'),
    ...(schema.uniqueItems ? ['no item twice'] : []),
    ...rangeOf(schema.minProperties, schema.maxProperties, ' members'),
    ...(schema.properties ? [schema.additionalProperties === false ? 'closed' : 'open'] : []),
  ]
  return [
    ...(facts.length > 0 ? [`${at}: ${facts.join(', ')}`] : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, one]) =>
      boundsIn(one, `${at}/${name}`),
    ),
    ...boundsIn(schema.items, `${at}/*`),
    ...[schema.anyOf ?? [], schema.oneOf ?? [], schema.allOf ?? []]
      .flat()
      .flatMap((one: Schema) => boundsIn(one, at)),
  ]
}

const title = '1..500 characters'
const texts = (name: string) => [
  `${name}/title: ${title}`,
  `${name}/description: 0..10000 characters`,
  `${name}/tags: 0..20 items, no item twice`,
  `${name}/tags/*: 1..50 characters`,
]
const password = '1..128 characters'
const name = '1..100 characters'

test('every member of requests and responses has the bounds of the contract', async () => {
  const { components, paths } = await documentOf()
  const closed = [
    'About',
    'AccessToken',
    'BatchOutcome',
    'ChangePage',
    'CompletionResult',
    'CompletionRequest',
    'DeletionResult',
    'OAuthToken',
  ]
  const alsoClosed = [
    'TaskExport',
    'GrantError',
    'TaskImport',
    'PersonalTokenList',
    'Problem',
    'ProblemDescription',
  ]
  const andThese = [
    'ProblemList',
    'TaskRemoval',
    'Session',
    'SessionList',
    'SignInResult',
    'ServiceStatus',
    'TaskUpsert',
  ]
  const andOf = ['About/links', 'ImportCheck', 'ImportResult']
  const contract = [
    ...[...closed, ...alsoClosed, ...andThese, ...andOf].map((one) => `${one}: closed`),
    'Batch: closed',
    ...['create', 'update', 'complete', 'delete'].map((one) => `Batch/${one}: 0..100 items`),
    'BatchUpdate: closed',
    'BatchUpdate/id: 1..100 characters',
    'BatchUpdate/version: 1..2147483647',
    ...texts('BatchUpdate'),
    'BatchCompletion: closed',
    'BatchCompletion/id: 1..100 characters',
    'Batch/delete/*: 1..100 characters',
    'Confirmation: closed',
    `Confirmation/current_password: ${password}`,
    'Credentials: closed',
    'Credentials/email: 0..10000 characters',
    `Credentials/password: ${password}`,
    ...['ImportedTask', 'NewTask', 'TaskReplacement'].flatMap((one) => [
      `${one}: closed`,
      ...texts(one),
    ]),
    ...['Task', 'TrashedTask'].flatMap((one) => [
      `${one}: closed`,
      ...texts(one),
      `${one}/version: 1..2147483647`,
      `${one}/position: 1..200 characters`,
    ]),
    'TaskPatch: closed',
    ...texts('TaskPatch'),
    ...['TaskPage', 'TrashPage'].flatMap((one) => [
      `${one}: closed`,
      `${one}/next_cursor: 1..8192 characters`,
    ]),
    ...['IssuedPersonalToken', 'NewPersonalToken', 'PersonalToken', 'User'].flatMap((one) => [
      `${one}: closed`,
      `${one}/name: ${name}`,
    ]),
    `Session/name: ${name}`,
    'NewPersonalToken/expires_in: 1..31536000',
    'PasswordChange: closed',
    `PasswordChange/current_password: ${password}`,
    `PasswordChange/new_password: ${password}`,
    'TokenRequest: open',
    'Accepted: closed',
    'EmailVerification: closed',
    'PasswordForgotten: closed',
    'PasswordForgotten/email: 0..320 characters',
    'PasswordReset: closed',
    `PasswordReset/new_password: ${password}`,
    'User/pending_email: 0..254 characters',
    'DroppedMember: closed',
    'IssuedCalendarFeed/name: 1..100 characters',
    'IssuedCalendarFeed: closed',
    ...[
      'BatchUpdate',
      'ImportedTask',
      'NewTask',
      'Task',
      'TaskPatch',
      'TaskReplacement',
      'TrashedTask',
    ].map((name) => `${name}/reminders: 0..5 items`),
    'Reminder/minutes_before: 0..527040',
    'Reminder: closed',
    'Reminder: closed',
    'ReminderEvent/data: closed',
    'ReminderEvent: closed',
    'TaskReminderMessage: closed',
    'NewRecurrence/rrule: 0..500 characters',
    'NewRecurrence: closed',
    'Recurrence/rrule: 0..500 characters',
    'Recurrence: closed',
    'RefreshRequest: closed',
    'Session/user_agent: 0..200 characters',
    'Problem/errors/*: closed',
    'TaskDeleteMessage/data: closed',
    'TaskDeleteMessage: closed',
    'TaskUpsertMessage: closed',
    'WebhookTestMessage/data: closed',
    'WebhookTestMessage: closed',
    'CreatedWebhook/last_failure: closed',
    'CreatedWebhook/name: 1..100 characters',
    'CreatedWebhook/url: 1..2000 characters',
    'CreatedWebhook: closed',
    'NewWebhook/events: 1..3 items, no item twice',
    'NewWebhook/name: 1..100 characters',
    'NewWebhook/url: 1..2000 characters',
    'NewWebhook: closed',
    'Webhook/last_failure: closed',
    'Webhook/name: 1..100 characters',
    'Webhook/url: 1..2000 characters',
    'Webhook: closed',
    'WebhookList: closed',
    'WebhookPatch/events: 1..3 items, no item twice',
    'WebhookPatch/name: 1..100 characters',
    'WebhookPatch/url: 1..2000 characters',
    'WebhookPatch: closed',
    'WebhookSecret: closed',
    'WebhookTest: closed',
    // An id and a time, or the id of a list.
    ...Array(2).fill('DeleteEvent/data: closed'),
    'ImportedList/name: 1..100 characters',
    'ImportedList: closed',
    'ImportedTask/list: 1..100 characters',
    'ListRemoval: closed',
    'ListUpsert: closed',
    'UpsertEvent/data: closed',
    'DeleteEvent: closed',
    'EndEvent/data: closed',
    'EndEvent: closed',
    'ReadyEvent/data: closed',
    'ReadyEvent: closed',
    'StreamTicket: closed',
    'UpsertEvent: closed',
    'UserPatch: closed',
    `UserPatch/name: ${name}`,
    'UserPatch/email: 0..254 characters',
    `UserPatch/current_password: ${password}`,
    'Registration: closed',
    'Registration/email: 0..254 characters',
    `Registration/password: ${password}`,
    `Registration/name: ${name}`,
    'User/email: 0..254 characters',
    'TaskMove: closed',
    ...['List', 'ListPatch', 'NewList'].flatMap((one) => [
      `${one}: closed`,
      `${one}/name: ${name}`,
    ]),
    'List/position: 1..200 characters',
    'List/version: 1..2147483647',
    'ListCollection: closed',
    'ListDeletionResult: closed',
    'ListMove: 1.. members, closed',
    'get /api/tasks list_id: 1..100 characters',
    'get /api/tasks limit: 1..200',
    'get /api/tasks cursor: 1..8192 characters',
    'get /api/tasks q: 1..200 characters',
    'TagCounts/tags/*/name: 1..50 characters',
    'TagCounts/tags/*: closed',
    'TagCounts: closed',
    'TaskCounts/lists/*: closed',
    'TaskCounts: closed',
    'get /api/tasks priority: 0..4 items',
    'get /api/tasks tags_any/*: 1..50 characters',
    'get /api/tasks tags_any: 0..20 items',
    'get /api/tasks tag: 0..20 items',
    'get /api/tasks tag/*: 1..50 characters',
    'get /api/tasks/trash limit: 1..200',
    'get /api/tasks/trash cursor: 1..8192 characters',
    'get /api/tasks/changes limit: 1..200',
    'get /api/tasks/changes since: 1..4096 characters',
    'get /api/tasks/changes wait: 0..30',
    'get /api/tasks/events since: 1..4096 characters',
    'get /api/tasks/events ticket: 1..4096 characters',
    ...['post /api/tasks', 'post /api/tasks/batch', 'post /api/tasks/import'].map(
      (one) => `${one} Idempotency-Key: 1..255 characters`,
    ),
    'patch /api/tasks/{id}/complete Idempotency-Key: 1..255 characters',
  ]

  const schemas = Object.entries(components.schemas).flatMap(([one, schema]) =>
    boundsIn(schema, one),
  )
  const parameters = operationsOf(paths).flatMap(({ method, path, operation }) =>
    (operation.parameters ?? []).flatMap((one: Schema) =>
      boundsIn(one.schema, `${method} ${path} ${one.name}`),
    ),
  )

  const answers = operationsOf(paths).flatMap(({ method, path, operation }) =>
    Object.entries(operation.responses as Schema).flatMap(([status, { content }]: Schema) =>
      Object.values(content ?? {}).flatMap((one: Schema) =>
        boundsIn(one.schema, `${method} ${path} ${status}`),
      ),
    ),
  )

  expect([...schemas, ...parameters, ...answers].sort()).toEqual(contract.sort())
})

const operationsOf = (paths: Schema) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods as Schema).map(([method, operation]) => ({
      method,
      path,
      operation: operation as Schema,
    })),
  )

/** A value with this many characters or items, or this number. */
const sized = (schema: Schema, size: number): unknown => {
  if (schema.type === 'array')
    return Array.from({ length: size }, (_, at) => {
      if (schema.items.$ref?.endsWith('/Priority')) return 'low'
      if (schema.items.$ref?.endsWith('/Reminder')) return { minutes_before: at }
      return schema.items.$ref ? {} : `${at}`
    })
  if (schema.minimum !== undefined) return size
  if (schema.format === 'uri') return 'https://a.example/'.padEnd(size, 'x').slice(0, size)
  return schema.format === 'email' ? `${'a'.repeat(size - 2)}@b` : 'x'.repeat(size)
}

/** Values just inside and just outside the bounds of a schema. */
const edgesOf = (schema: Schema) => {
  const [least, most] = [
    schema.minLength ?? schema.minimum ?? schema.minItems ?? 0,
    schema.maxLength ?? schema.maximum ?? schema.maxItems,
  ]
  if (most === undefined) return undefined
  const within = /email|uri/.test(schema.format) ? [most] : [least, most]
  const isBelow = least > 0 || schema.minimum !== undefined
  return { within, outside: [...(isBelow ? [least - 1] : []), most + 1] }
}

type Asking = { name: string; schema: Schema; pointer: string; ask: (value: unknown) => Call }
type Call = Parameters<Someone['call']>

/** Every bounded member and query parameter, and how to send it. */
const bounded = async (): Promise<Asking[]> => {
  const { components, paths } = await documentOf()
  const resolved = (schema: Schema): Schema =>
    schema?.$ref ? components.schemas[schema.$ref.split('/').at(-1)] : schema
  return operationsOf(paths).flatMap(({ method, path, operation }): Asking[] => {
    const verb = method.toUpperCase()
    const route = path.replace(/\{(\w+)\}/g, ':$1')
    const json = operation.requestBody?.content['application/json']
    const body = resolved(json?.schema)
    const base = bodies[`${verb} ${route}`] as object | undefined
    const members = Object.entries(body?.properties ?? {}).map(
      ([one, schema]): Asking => ({
        name: `${verb} ${route} /${one}`,
        schema: resolved(schema),
        pointer: `/${one}`,
        ask: (value) => [verb, filled(route), { ...base, [one]: value }],
      }),
    )
    const query = (operation.parameters ?? [])
      .filter((one: Schema) => one.in === 'query')
      .map(
        ({ name: one, schema }: Schema): Asking => ({
          name: `${verb} ${route} ?${one}`,
          schema,
          pointer: `/${one}`,
          ask: (value) => {
            const parameters = [value].flat().map((each): [string, string] => [one, `${each}`])
            return [verb, `${filled(route)}?${new URLSearchParams(parameters)}`]
          },
        }),
      )
    return [...members, ...query]
  })
}

describe('on both sides of each bound', async () => {
  const all = (await bounded()).flatMap((one) => {
    const edges = edgesOf(one.schema)
    return edges ? [{ ...one, ...edges }] : []
  })

  test.each(all)(
    'of $name, the value outside is 422 by name, and the value inside is accepted',
    async (one) => {
      const { someone } = await service()
      const { call } = await someone()
      const isRefused = async (size: number) => {
        const { body } = await call(...one.ask(sized(one.schema, size)))
        return (
          body?.code === 'invalid-request' &&
          body.errors.some(({ pointer }: { pointer: string }) => pointer === one.pointer)
        )
      }

      for (const size of one.outside) expect([size, await isRefused(size)]).toEqual([size, true])
      for (const size of one.within) {
        const { call } = await someone()
        // With a change, a request that may wait responds at once.
        await call('POST', '/api/tasks', { title: 'x' })
        const { body } = await call(...one.ask(sized(one.schema, size)))
        const errors: Schema[] = body?.code === 'invalid-request' ? body.errors : []
        // A dependency on another member is not a bound.
        const ofSize = errors.filter(
          ({ pointer, detail }) =>
            pointer === one.pointer && /^must/.test(detail) && !detail.includes('8 characters'),
        )
        expect([size, ofSize]).toEqual([size, []])
      }
    },
  )
})
