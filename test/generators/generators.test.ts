import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { listening } from '../support/listening.ts'
import { running } from '../support/running.ts'

/*
 * The OpenAPI document as the generators of clients read it: without a warning, and each client runs the same scenario.
 * `bun run test:generators` installs them beside this file.
 */

let here: Awaited<ReturnType<typeof listening>>
let folder = ''
let document = ''
const tools = join(import.meta.dir, 'node_modules')

beforeAll(async () => {
  here = await listening()
  folder = await mkdtemp(join(tmpdir(), 'taskwarden-generators-'))
  document = join(folder, 'openapi.json')
  await Bun.write(document, await (await fetch(`${here.origin}/docs/json`)).text())
})
afterAll(async () => {
  await here?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** What every client prints: the created task, its completion, the sorted titles, and the code of a problem. */
const scenario = {
  created: ['Second', 'low'],
  completed: true,
  titles: ['First', 'Second'],
  problem: [422, 'invalid-request', '/title'],
}

const resultOf = async (command: string[], env: Record<string, string> = {}) => {
  const { code, out, err } = await running(command, {
    API: here.origin,
    EMAIL: `${Bun.randomUUIDv7()}@example.test`,
    ...env,
  })
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out)
}

test('Redocly reports nothing', async () => {
  const { lint, loadConfig } = await import(join(tools, '@redocly/openapi-core/lib/index.js'))
  const config = await loadConfig({ configPath: join(import.meta.dir, 'redocly.yaml') })

  const problems = await lint({ ref: document, config })

  expect(problems.map(({ ruleId, message }: Record<string, string>) => [ruleId, message])).toEqual(
    [],
  )
})

test('the client of orval runs the scenario', async () => {
  const target = join(folder, 'orval.ts')
  const config = join(folder, 'orval.config.cjs')
  const output = { target, client: 'fetch', mode: 'single', baseUrl: here.origin }
  await Bun.write(
    config,
    `module.exports = ${JSON.stringify({ api: { input: document, output } })}`,
  )
  const program = join(folder, 'orval-scenario.ts')
  await Bun.write(
    program,
    `import { completeTask, createTask, listTasks, register } from './orval.ts'
const { API: _, EMAIL = '' } = process.env
const signUp = await register({ email: EMAIL, password: 'correct horse battery' })
if (signUp.status !== 201) throw new Error('no account')
const own = { headers: { authorization: 'Bearer ' + signUp.data.access_token } }
await createTask({ title: 'First', priority: 'high' }, own)
const created = await createTask({ title: 'Second', priority: 'low' }, own)
if (created.status !== 201) throw new Error('no task')
const completed = await completeTask(created.data.id, { completed: true }, own)
const listed = await listTasks({ sort: '-priority', limit: 10 }, own)
const refused = await createTask({ title: '' }, own)
if (completed.status !== 200 || listed.status !== 200) throw new Error('refused')
if (refused.status === 201 || !('code' in refused.data)) throw new Error('not refused')
console.log(JSON.stringify({
  created: [created.data.title, created.data.priority],
  completed: completed.data.completed,
  titles: listed.data.tasks.map(({ title }) => title),
  problem: [refused.data.status, refused.data.code, refused.data.errors?.[0]?.pointer],
}))
`,
  )

  const generated = await running(
    ['node', join(tools, '.bin/orval'), '--config', config],
    {},
    import.meta.dir,
  )

  expect([generated.code, generated.err]).toEqual([0, ''])
  expect(generated.out).not.toMatch(/warn/i)
  expect(await resultOf([process.execPath, program])).toEqual(scenario)
})

test('the types of openapi-typescript run the scenario with openapi-fetch', async () => {
  const generated = await running([process.execPath, resolve('client/generate.ts')], {})
  expect(generated).toEqual({ code: 0, out: '', err: '' })
  const program = join(folder, 'fetch-scenario.ts')
  await Bun.write(
    program,
    `import createClient from '${resolve('node_modules/openapi-fetch/dist/index.mjs')}'
import type { paths } from '${resolve('client/src/openapi.ts')}'
const { API = '', EMAIL = '' } = process.env
const api = createClient<paths>({ baseUrl: API })
const signUp = await api.POST('/api/auth/register', { body: { email: EMAIL, password: 'correct horse battery' } })
api.use({ onRequest: ({ request }) => request.headers.set('authorization', 'Bearer ' + signUp.data?.access_token) })
await api.POST('/api/tasks', { body: { title: 'First', priority: 'high' } })
const created = await api.POST('/api/tasks', { body: { title: 'Second', priority: 'low' } })
const path = { id: created.data?.id ?? '' }
const completed = await api.PATCH('/api/tasks/{id}/complete', { params: { path }, body: { completed: true } })
const listed = await api.GET('/api/tasks', { params: { query: { sort: '-priority' } } })
const refused = await api.POST('/api/tasks', { body: { title: '' } })
console.log(JSON.stringify({
  created: [created.data?.title, created.data?.priority],
  completed: completed.data?.completed,
  titles: listed.data?.tasks.map(({ title }) => title),
  problem: [refused.error?.status, refused.error?.code, refused.error?.errors?.[0]?.pointer],
}))
`,
  )

  expect(await resultOf([process.execPath, program])).toEqual(scenario)
})

const python = process.env.PYTHON ?? ''
test.skipIf(python === '')(
  `the client of openapi-python-client runs the scenario ${python === '' ? '(skipped: PYTHON names no interpreter)' : ''}`,
  async () => {
    const env = { PYTHONPATH: folder, PATH: `${dirname(resolve(python))}:${process.env.PATH}` }
    const generate = ['-m', 'openapi_python_client', 'generate', '--path', document]
    const config = resolve('examples/python/generator.yml')
    const output = join(folder, 'tasks_client')
    const program = join(folder, 'scenario.py')
    await Bun.write(
      program,
      `import json, os
from tasks_client import AuthenticatedClient, Client
from tasks_client.api.sign_in import register
from tasks_client.api.tasks import complete_task, create_task, list_tasks
from tasks_client.models import CompletionRequest, NewTask, Priority, Registration, Sort
api = os.environ["API"]
signed = register.sync(client=Client(api), body=Registration(os.environ["EMAIL"], "correct horse battery"))
own = AuthenticatedClient(api, signed.access_token)
create_task.sync(client=own, body=NewTask("First", priority=Priority.HIGH))
created = create_task.sync(client=own, body=NewTask("Second", priority=Priority.LOW))
completed = complete_task.sync(created.id, client=own, body=CompletionRequest(True))
listed = list_tasks.sync(client=own, sort=Sort.PRIORITY_DESCENDING)
refused = create_task.sync(client=own, body=NewTask(""))
print(json.dumps({
    "created": [created.title, created.priority],
    "completed": completed.completed,
    "titles": [task.title for task in listed.tasks],
    "problem": [refused.status, refused.code, refused.errors[0].pointer],
}))
`,
    )

    const generated = await running(
      [python, ...generate, '--config', config, '--meta', 'none', '--output-path', output],
      env,
    )

    expect(generated.code, generated.err).toBe(0)
    expect(generated.out + generated.err).not.toMatch(/WARNING|ERROR|Unsupported/)
    expect(await resultOf([python, program], env)).toEqual(scenario)
  },
)
