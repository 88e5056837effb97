import { expect, test } from 'bun:test'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { applied, blocksOf, copied, fine, ran, root } from './page-edits.ts'

/*
 * Applies docs/add-a-field.md to a copy of this project. The resulting service has the field everywhere, and exactly
 * the listed files of src have changed.
 */

const blocks = await blocksOf('docs/add-a-field.md')
const edits = blocks.filter(({ kind }) => kind === 'diff')
const commands = blocks
  .filter(({ kind, text }) => kind === 'sh' && !text.includes('bun dev'))
  .flatMap(({ text }) => text.trim().split('\n'))

const changedIn = async (copy: string, folder: string) => {
  const paths = (await readdir(join(copy, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(copy.length + 1))
  const textOf = async (path: string) => {
    const file = Bun.file(path)
    return (await file.exists()) ? file.text() : undefined
  }
  const changed = await Promise.all(
    paths.map(async (path) =>
      (await textOf(join(root, path))) === (await textOf(join(copy, path))) ? [] : path,
    ),
  )
  return changed.flat().sort()
}

/** Runs in the copy and checks the field over HTTP. */
const probe = `
import { expect, test } from 'bun:test'
import { service } from './support/service.ts'

const csv = (text: string) => text.split('\\r\\n').map((line) => line.split(','))

test('the new field is everywhere', async () => {
  const { call, someone } = await service()
  const [ada, bob] = [await someone(), await someone()]
  const at = async (path: string) => (await ada.call('GET', path)).body

  const { body: made, status } = await ada.call('POST', '/api/tasks', { title: 'x', location: 'Hall, 2' })
  const path = '/api/tasks/' + made.id
  expect([status, made.location]).toEqual([201, 'Hall, 2'])
  expect(await at(path)).toEqual(made)
  expect((await at('/api/tasks')).tasks).toEqual([made])
  expect((await at('/api/tasks/changes')).changes).toEqual([{ op: 'upsert', task: made }])

  const patched = (changes: object) => ada.call('PATCH', path, changes)
  expect((await patched({ title: 'y' })).body.location).toBe('Hall, 2')
  expect((await patched({ location: null })).body.location).toBeNull()
  expect((await patched({ location: 'Pier' })).body.location).toBe('Pier')
  const replaced = (task: object) => ada.call('PUT', path, { title: 'z', completed: false, ...task })
  expect((await replaced({})).body.location).toBeNull()
  expect((await replaced({ location: 'Roof' })).body.location).toBe('Roof')

  const { body: batch } = await ada.call('POST', '/api/tasks/batch', {
    create: [{ title: 'b', location: 'Cellar' }, { title: 'c' }],
    update: [{ id: made.id, location: 'Yard' }],
  })
  expect(batch.created.map(({ location }: any) => location)).toEqual(['Cellar', null])
  expect(batch.updated[0].location).toBe('Yard')

  for (const wrong of ['', 'x'.repeat(201), 1, ['x']]) {
    const { status, body } = await patched({ location: wrong })
    expect([status, body.errors[0].pointer]).toEqual([422, '/location'])
  }

  const exported = async (format: string) => (await ada.call('GET', '/api/tasks/export?format=' + format)).text
  expect(JSON.parse(await exported('json')).tasks.map((task: any) => task.location)).toEqual(['Yard', 'Cellar', null])
  const [header = [], ...rows] = csv(await exported('csv'))
  const column = header.indexOf('location')
  expect(rows.slice(0, 3).map((row) => row[column])).toEqual(['Yard', 'Cellar', ''])
  expect((await exported('ics')).match(/^LOCATION:.*$/gm)).toEqual(['LOCATION:Yard\\r', 'LOCATION:Cellar\\r'].map((line) => line.trim()))
  for (const [format, type] of [['csv', 'text/csv'], ['ndjson', 'application/x-ndjson']] as const) {
    const { status } = await bob.call('POST', '/api/tasks/import', await exported(format), { 'content-type': type })
    expect([format, status]).toEqual([format, 200])
  }
  const theirs = (await bob.call('GET', '/api/tasks?sort=created_at')).body.tasks
  expect(theirs.map((task: any) => task.location).sort()).toEqual(['Cellar', 'Cellar', 'Yard', 'Yard', null, null])

  const { schemas } = (await call('GET', '/docs/json')).body.components
  for (const name of ['Task', 'NewTask', 'TaskReplacement', 'TaskPatch', 'ImportedTask', 'TrashedTask'])
    expect([name, schemas[name].properties.location]).toMatchObject([name, { minLength: 1, maxLength: 200 }])
  expect(schemas.Task.required).toContain('location')
  expect(schemas.NewTask.required).not.toContain('location')
})
`

test.skipIf(Boolean(process.env.TEST_DATABASE_URL))(
  'a field that is added by the page works everywhere, with four changed files of src and no changed statement',
  async () => {
    await using scratch = await copied()
    const { copy } = scratch
    for (const { path, text } of edits) await applied(copy, path, text)
    const [generate = '', check = '', tests = ''] = commands

    expect(await ran(copy, generate.split(' '))).toEqual(fine)
    expect(await changedIn(copy, 'src')).toEqual([
      'src/db/schema.ts',
      'src/tasks/examples.ts',
      'src/tasks/task/schema.ts',
      'src/tasks/transfer/formats/icalendar.ts',
    ])
    const added = await changedIn(copy, 'drizzle')
    expect(added).toEqual([
      expect.stringMatching(/^drizzle\/\d{4}_location\.sql$/),
      expect.stringMatching(/^drizzle\/meta\/\d{4}_snapshot\.json$/),
      'drizzle/meta/_journal.json',
    ])
    expect(await Bun.file(join(copy, added[0] ?? '')).text()).toContain(
      'ADD COLUMN "location" text',
    )

    expect(await ran(copy, check.split(' '))).toEqual(fine)
    await Bun.write(join(copy, 'test/probe.test.ts'), probe)
    expect(await ran(copy, ['bun', 'test', '--timeout', '60000', 'test/probe.test.ts'])).toEqual(
      fine,
    )
    // The tests that the page updates for the field. Without a match, `-t` would skip a file silently.
    const names = [
      'has its title and the defaults',
      'are those of a model',
      'imported without loss',
      'has the bounds of the contract',
      'sets defaults for absent ones',
    ]
    const command = tests.split(' ')
    const files = command.filter((argument) => argument.endsWith('.test.ts'))
    const sources = await Promise.all(files.map((file) => Bun.file(join(root, file)).text()))
    for (const name of names)
      expect([name, sources.some((source) => source.includes(name))]).toEqual([name, true])
    expect(await ran(copy, [...command, '-t', names.join('|')])).toEqual(fine)
  },
  600_000,
)
