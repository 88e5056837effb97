import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { listening } from '../support/listening.ts'
import { running } from '../support/running.ts'

const named = process.env.PYTHON
const python = named || Bun.which('python3') || ''
const needs = 'import httpx, openapi_python_client'
const hasNeeds = () =>
  python !== '' && Bun.spawnSync([python, '-c', needs], { stderr: 'ignore' }).exitCode === 0
/** A named interpreter must work; another one is checked first. */
const missing =
  named || hasNeeds()
    ? ''
    : 'skipped: no python3 has examples/python/requirements.txt, and PYTHON names none'

describe.skipIf(missing !== '')(`the client in Python ${missing}`, () => {
  let here: Awaited<ReturnType<typeof listening>>
  let folder = ''
  beforeAll(async () => {
    here = await listening()
    folder = await mkdtemp(join(tmpdir(), 'taskwarden-python-'))
  })
  afterAll(async () => {
    await here?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const run = (args: string[], env: Record<string, string> = {}) =>
    running([python, ...args], {
      PYTHONPATH: folder,
      PYTHONDONTWRITEBYTECODE: '1',
      // The tools of a virtual environment are beside it.
      PATH: `${dirname(resolve(python))}:${process.env.PATH}`,
      ...env,
    })
  const example = (env: Record<string, string>) =>
    run([resolve('examples/python/main.py')], { API: here.origin, ...env })

  test('the generated client has every operation', async () => {
    const url = `${here.origin}/docs/json`
    const output = join(folder, 'taskwarden_client')

    const { code, out, err } = await run([
      ...['-m', 'openapi_python_client', 'generate', '--url', url],
      ...['--config', resolve('examples/python/generator.yml')],
      ...['--meta', 'none', '--output-path', output],
    ])

    expect(code, err).toBe(0)
    expect((out + err).match(/^WARNING.*|^ERROR.*|^Unsupported.*/gm)).toBeNull()
    const files = await readdir(join(output, 'api'), { recursive: true })
    const { paths } = (await here.call('GET', '/docs/json')).body
    const ids = Object.values<Record<string, { operationId: string }>>(paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    )
    for (const id of ids)
      expect(files.join('\n')).toContain(`/${id.replace(/[A-Z]/g, '_$&').toLowerCase()}.py`)
  })

  test('the example signs up, writes, reads all pages, exports CSV, and signs in again', async () => {
    const env = { EMAIL: `${Bun.randomUUIDv7()}@example.test`, PASSWORD: 'correct horse battery' }

    const first = await example(env)
    const { body } = await here.call('POST', '/api/auth/login', {
      body: { email: env.EMAIL, password: env.PASSWORD },
    })
    const token: string = body.access_token
    const create = Array.from({ length: 60 }, (_, at) => ({
      title: `Number ${at}`,
      priority: at === 59 ? 'urgent' : 'low',
      due_at: '2026-12-24T18:00:00Z',
    }))
    await here.call('POST', '/api/tasks/batch', { token, body: { create } })
    const second = await example(env)

    expect([first.code, first.err]).toEqual([0, ''])
    expect(first.out.split('\n')).toEqual([
      'Water the plants: done',
      'refused: The task or list has changed',
      'exported rows: 1, completed: 1',
      '',
    ])
    const listed = second.out.split('\n').slice(2, -2)
    expect([second.code, second.err, listed.length]).toEqual([0, '', 60])
    expect(second.out).toEndWith('\nexported rows: 62, completed: 2\n')
    expect(listed[0]).toBe('[ ] Number 59, due 2026-12-24')
    expect(new Set(listed).size).toBe(60)
    const { tasks } = (await here.call('GET', '/api/tasks?q=water', { token })).body
    // Each run sends its task twice, with one key, and a due time of six fraction digits.
    expect(tasks).toHaveLength(2)
    for (const { due_at } of tasks) expect(due_at).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/)
  }, 120_000)

  test('the example prints the problem, its code and its place', async () => {
    const { email } = await here.someone()

    const wrong = await example({ EMAIL: email, PASSWORD: 'not the password' })
    const weak = await example({ EMAIL: 'a@b', PASSWORD: 'password' })
    const nowhere = await example({ EMAIL: email, API: 'http://127.0.0.1:1' })

    expect([wrong.code, wrong.out, weak.code, nowhere.code]).toEqual([1, '', 1, 1])
    expect(wrong.err).toMatch(/^401 .* \(invalid-credentials, request [\w-]+\)\n$/)
    expect(weak.err).toMatch(/^422 .*weak-password.*\n {2}\/password is easy to guess/)
    expect(nowhere.err).toContain('refused')
  }, 120_000)
})
