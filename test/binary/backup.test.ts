import { afterAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { running } from '../support/running.ts'
import { cleanUp, folder, onPostgres, start } from './process.ts'

afterAll(cleanUp)

/** The commands as printed in docs/operations.md. */
const block = async (mark: string) => {
  const text = await Bun.file('docs/operations.md').text()
  const [, found] = new RegExp(`^\`\`\`sh ${mark}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text) ?? []
  if (!found) throw new Error(`docs/operations.md has no block ${mark}`)
  return found
}

const shell = async (script: string, env: Record<string, string>) => {
  const { code, out, err } = await running(['sh', '-eu', '-c', script], env)
  expect([code, out, err]).toEqual([0, '', ''])
}

test.skipIf(!process.env.TEST_DATABASE_URL || Bun.which('pg_dump') === null)(
  'a restored backup has every token, session and task unchanged',
  async () => {
    const [before, after] = [await onPostgres(), await onPostgres()]
    const BACKUP = join(await folder(), 'backup')
    const first = await start(before)
    const ada = await first.someone()
    const { body: personal } = await first.call('POST', '/api/auth/tokens', {
      token: ada.token,
      body: { name: 'script', scope: 'tasks:write' },
    })
    for (const title of [
      "Robert'); drop table tasks; --",
      'Ünïcödé \u{1F9D1}\u200D\u{1F680}',
      'a\\b\n"c"',
    ])
      await first.call('POST', '/api/tasks', {
        token: ada.token,
        body: { title, tags: ['a b', '\\"'], due_at: '2026-12-24T18:00:00.123+01:00' },
      })
    const paths = ['/api/tasks', '/api/auth/sessions', '/api/tasks/changes', '/api/auth/me']
    const read = async ({ call }: typeof first, token: string) =>
      Promise.all(paths.map(async (path) => (await call('GET', path, { token })).body))
    const known = await read(first, ada.token)

    await shell(await block('backup'), { BACKUP, DATABASE_URL: before.DATABASE_URL })
    await shell(await block('restore'), { BACKUP, NEW_DATABASE_URL: after.DATABASE_URL })

    const second = await start(after)
    const [page, sessions, changes, me] = await read(second, ada.token)
    // The changes token is encrypted with a new nonce each time.
    expect([page, sessions, changes.changes, me]).toEqual([
      known[0],
      known[1],
      known[2].changes,
      known[3],
    ])
    expect(page.tasks).toHaveLength(3)
    const { email, password } = ada
    const login = { body: { email, password } }
    expect((await second.call('POST', '/api/auth/login', login)).status).toBe(200)
    const more = { token: personal.access_token, body: { title: 'after' } }
    expect((await second.call('POST', '/api/tasks', more)).status).toBe(201)
    await Promise.all([first.stop(), second.stop()])
  },
  60_000,
)
