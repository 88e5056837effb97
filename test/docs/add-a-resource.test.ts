import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { applied, blocksOf, copied, fine, ran } from './page-edits.ts'

/* Applies docs/add-a-resource.md to a copy of this project. The resulting service has the notes, isolated by user. */

const blocks = await blocksOf('docs/add-a-resource.md')
const commands = blocks
  .filter(({ kind }) => kind === 'sh')
  .flatMap(({ text }) => text.trim().split('\n'))

/** Runs in the copy and checks the notes over HTTP. */
const probe = `
import { expect, test } from 'bun:test'
import { service } from './support/service.ts'

test('the notes of a user are created, read, changed and deleted', async () => {
  const { call, someone } = await service()
  const [ada, bob] = [await someone(), await someone()]
  const made = await ada.call('POST', '/api/notes', { text: 'first' })
  const path = '/api/notes/' + made.body.id
  expect([made.status, made.headers.get('location'), made.headers.get('etag')]).toEqual([201, path, '"1"'])
  expect((await ada.call('GET', path)).body).toEqual(made.body)
  expect((await ada.call('GET', path)).headers.get('cache-control')).toBe('private, no-cache')

  const changed = await ada.call('PATCH', path, { text: 'second' }, { 'if-match': '"1"' })
  expect(changed.body).toMatchObject({ id: made.body.id, text: 'second', version: 2 })
  for (const [method, body] of [['PATCH', { text: 'x' }], ['DELETE', undefined]] as const) {
    const stale = await ada.call(method, path, body, { 'if-match': '"1"' })
    expect([stale.status, stale.body.code, stale.headers.get('etag')]).toEqual([412, 'version-mismatch', '"2"'])
    const theirs = await bob.call(method, path, body)
    expect([theirs.status, theirs.body.code]).toEqual([404, 'note-not-found'])
  }
  expect((await ada.call('GET', '/api/notes')).body).toEqual({ notes: [changed.body] })
  expect((await bob.call('GET', '/api/notes')).body).toEqual({ notes: [] })
  for (const text of ['', ' ', 'x'.repeat(10_001), 1])
    expect([text, (await ada.call('POST', '/api/notes', { text })).status]).toEqual([text, 422])

  const { body: reader } = await ada.call('POST', '/api/auth/tokens', { name: 'x', scope: 'tasks:read' })
  const token = reader.access_token
  expect((await call('GET', path, { token })).status).toBe(200)
  expect((await call('DELETE', path, { token })).status).toBe(403)
  expect((await ada.call('DELETE', path)).status).toBe(204)
  expect((await ada.call('GET', path)).status).toBe(404)
  const { paths } = (await call('GET', '/docs/json')).body
  expect(Object.keys(paths['/api/notes/{id}'])).toEqual(['get', 'patch', 'delete'])
})
`

test.skipIf(Boolean(process.env.TEST_DATABASE_URL))(
  'a resource that is added by the page works, and passes the tests of isolation',
  async () => {
    await using scratch = await copied()
    const { copy } = scratch
    for (const { kind, path, text } of blocks) {
      if (kind === 'diff') await applied(copy, path, text)
      if (kind === 'ts') await Bun.write(join(copy, path), text)
    }
    const [generate = '', check = '', isolation = ''] = commands

    expect(await ran(copy, generate.split(' '))).toEqual(fine)
    expect(await ran(copy, check.split(' '))).toEqual(fine)
    await Bun.write(join(copy, 'test/probe.test.ts'), probe)
    const probing = ['bun', 'test', '--timeout', '60000', 'test/probe.test.ts']
    expect(await ran(copy, probing)).toEqual(fine)
    expect(await ran(copy, ['env', ...isolation.split(' ')])).toEqual(fine)
    const statements = await Bun.file(join(copy, 'docs/statements.md')).text()
    expect(statements).toContain(
      '| PATCH /api/notes/:id | read sessions, read user_changes, read notes, update notes |',
    )
  },
  600_000,
)
