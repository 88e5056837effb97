import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { listening } from '../support/listening.ts'
import { clientPackage, succeed } from './package.ts'

/*
 * The client in another repository: an empty directory, in which the tarball is installed. It has
 * no dependencies, so that no registry is needed.
 */

const node = Bun.which('node')
/** A machine without Node.js is no reason to fail; CI has it. */
const runtimes = { ...(node !== null && { 'Node.js': node }), Bun: process.execPath }
const compilerOptions = {
  target: 'ES2022',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
}
/** How other repositories resolve modules, and where the types of `fetch` come from. */
const projects = {
  'Node.js': { module: 'NodeNext', lib: ['ES2022'], types: ['node'] },
  bundler: {
    module: 'ESNext',
    moduleResolution: 'bundler',
    lib: ['ES2022', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
    types: [],
  },
}

let here: Awaited<ReturnType<typeof listening>>
let folder = ''
const testMs = 120_000

beforeAll(async () => {
  const { tarball } = await clientPackage()
  here = await listening()
  folder = await mkdtemp(join(tmpdir(), 'taskwarden-consumer-'))
  await Bun.write(join(folder, 'package.json'), '{ "type": "module", "private": true }')
  await Bun.write(join(folder, 'bunfig.toml'), '[install]\nregistry = "http://127.0.0.1:1"\n')
  await succeed([process.execPath, 'add', tarball], folder)

  await Bun.write(join(folder, 'consumer.ts'), Bun.file('test/client/consumer.ts'))
  await Bun.write(join(folder, 'readme.ts'), await readmeProgram())
  for (const [name, options] of Object.entries(projects))
    await Bun.write(
      join(folder, `${name}.json`),
      JSON.stringify({
        compilerOptions: {
          ...compilerOptions,
          ...options,
          typeRoots: [resolve('node_modules/@types')],
          rootDir: folder,
          outDir: join(folder, 'out', name),
        },
        files: ['consumer.ts', 'readme.ts'],
      }),
    )
}, testMs)
afterAll(async () => {
  await here?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** All code of the README, one block after the other. */
const readmeProgram = async () => {
  const text = await Bun.file('client/README.md').text()
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code)
  return blocks
    .join('\n')
    .replace('http://localhost:3000', here.origin)
    .replace("'ada@example.com'", "crypto.randomUUID() + '@example.test'")
}

const newUser = () => [`${Bun.randomUUIDv7()}@example.test`, 'correct horse battery']

const expected = (email: string) => ({
  user: email,
  versions: [1, 2],
  stale: ['version-mismatch', 412, 2, '"2"'],
  merged: ['shop', 'home'],
  invalid: ['invalid-request', '/title'],
  once: 1,
  created: 5,
  titles: ['0', '1', '2', '3', '4', 'Buy milk', 'Once'],
  done: [true, 4],
  trash: ['Buy milk', 'string'],
  imported: { valid: 6, dropped: [] },
  added: { imported: 1, updated: 0, ids: [expect.any(String)], dropped: [] },
  sessions: 1,
  denied: 'insufficient-scope',
  refreshed: true,
  same: true,
  ended: 'unauthenticated',
  aborted: 'AbortError',
})

test('the package is complete: nothing else was installed, and it has its licences', async () => {
  const installed = [
    ...new Bun.Glob('*').scanSync({ cwd: `${folder}/node_modules`, onlyFiles: false }),
  ]
  const root = join(folder, 'node_modules/taskwarden-client')
  const manifest = await Bun.file(join(root, 'package.json')).json()

  expect(installed).toEqual(['taskwarden-client'])
  expect([manifest.dependencies, manifest.license]).toEqual([undefined, 'MIT'])
  expect(await Bun.file(join(root, 'LICENSE')).text()).toBe(await Bun.file('LICENSE').text())
  expect(await Bun.file(join(root, 'vendor/LICENSES')).text()).toContain('Drew Powers')
  for await (const file of new Bun.Glob('**/*.{js,d.ts}').scan(root)) {
    const text = await Bun.file(join(root, file)).text()
    const imports = [...text.matchAll(/(?<!")(?:from|import\() ?["']([^"']+)["']/g)].map(
      ([, to]) => to,
    )
    expect([file, imports.filter((to) => !/^\.\/.*\.js$/.test(to ?? ''))]).toEqual([file, []])
  }
})

/** The output of a compiler that reports nothing is empty. */
const compile = (compiler: string, project: string) => {
  const tsc = resolve('node_modules', compiler, 'bin/tsc')
  return succeed([process.execPath, tsc, '-p', `${project}.json`], folder)
}

test(
  'programs also compile with TypeScript 5, which many repositories have',
  async () => {
    expect(await compile('typescript-5', 'Node.js')).toBe('')
  },
  testMs,
)

describe.each(Object.keys(projects))('with the module resolution of %s', (name) => {
  test(
    'programs compile with strict options',
    async () => {
      expect(await compile('typescript', name)).toBe('')
    },
    testMs,
  )

  test.each(Object.entries(runtimes))(
    'they run in %s',
    async (_, runtime) => {
      const user = newUser()
      const run = (program: string, args: string[] = []) =>
        succeed([runtime, join(folder, 'out', name, program), ...args], folder)

      const out = await run('consumer.js', [here.origin, ...user])
      const readme = await run('readme.js')

      expect(JSON.parse(out)).toEqual(expected(user[0] ?? ''))
      expect(readme.split('\n')).toEqual([
        'Water the plants',
        'changed meanwhile, now version 3',
        '1 list, 2 tags',
        expect.stringMatching(/^20\d\d-\d\d-\d\d$/),
        expect.stringMatching(/^\/title must have at least 1 character$/),
        '1',
        '',
      ])
    },
    testMs,
  )
})
