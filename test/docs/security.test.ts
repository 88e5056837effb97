import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { Glob } from 'bun'

/*
 * SECURITY.md and docs/asvs.md name files in backticks, and after a test file its tests in quotes; `group › test` is a
 * test of a group. These quotes have no other use.
 */

const pages = ['SECURITY.md', 'docs/asvs.md']
const texts = await Promise.all(pages.map((page) => Bun.file(page).text()))

/** All level 1 requirements of ASVS 5.0.0, by section. */
const levelOne = [
  ...['V1.2: 1 2 3 4 5', 'V1.3: 1 2', 'V1.5: 1', 'V2.1: 1', 'V2.2: 1 2', 'V2.3: 1'],
  ...['V3.2: 1 2', 'V3.3: 1', 'V3.4: 1 2', 'V3.5: 1 2 3', 'V4.1: 1', 'V4.4: 1'],
  ...['V5.2: 1 2', 'V5.3: 1 2', 'V6.1: 1', 'V6.2: 1 2 3 4 5 6 7 8', 'V6.3: 1 2', 'V6.4: 1 2'],
  ...['V7.2: 1 2 3 4', 'V7.4: 1 2', 'V8.1: 1', 'V8.2: 1 2', 'V8.3: 1', 'V9.1: 1 2 3', 'V9.2: 1'],
  ...['V10.4: 1 2 3 4 5', 'V11.3: 1 2', 'V11.4: 1', 'V12.1: 1', 'V12.2: 1 2', 'V13.4: 1'],
  ...['V14.2: 1', 'V14.3: 1', 'V15.1: 1', 'V15.2: 1', 'V15.3: 1'],
].flatMap((line) => {
  const [section, numbers = ''] = line.split(': ')
  return numbers.split(' ').map((number) => `${section}.${number}`)
})

const isPath = /^(src|test|docs|drizzle|deploy)\/[\w./-]+$|^SECURITY\.md$|^\.dockerignore$/

/** All named files, and all quoted tests with the file that was named last. */
const namedIn = (text: string) => {
  const files: string[] = []
  const tests: [file: string, name: string][] = []
  for (const [, code, quoted] of text.replace(/\s+/g, ' ').matchAll(/`([^`]+)`|“([^”]*)”/g)) {
    if (code !== undefined && isPath.test(code)) files.push(code)
    if (quoted !== undefined) tests.push([files.at(-1) ?? '', quoted])
  }
  return { files, tests }
}

/** Whether the source has a test or a group with this name. */
const has = (source: string, name: string): boolean =>
  [`'${name}'`, `"${name}"`, `\`${name}\``].some((literal) =>
    new RegExp(`\\(\\s*${literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')},`).test(source),
  )

test.each(pages)(
  'the files that %s names are there, and the tests that it quotes',
  async (page) => {
    const text = texts[pages.indexOf(page)] ?? ''
    const { files, tests } = namedIn(text)
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, to = '']) => to)

    for (const file of [...files, ...links]) expect([file, existsSync(file)]).toEqual([file, true])
    for (const [file, quoted] of tests) {
      const source = await Bun.file(file).text()
      const missing = quoted.split(' › ').filter((name) => !has(source, name))
      expect([file, missing]).toEqual([file, []])
    }
    expect(Math.min(files.length, tests.length)).toBeGreaterThan(30)
  },
)

test('a missing test is detected', () => {
  const source = `test.each(ends)(\n  'one’s “end” (%s)',\n  async () => {})\ntest("b's", () => {})`

  expect(['one’s “end” (%s)', "b's"].map((name) => has(source, name))).toEqual([true, true])
  expect(['one’s “end”', 'end', "'b's'", ''].map((name) => has(source, name))).toEqual(
    Array(4).fill(false),
  )
})

const rows = (texts[1] ?? '')
  .split('\n')
  .filter((line) => /^\| *(V|API)\d/.test(line))
  .map((line) => line.replace(/^\| | \|$/g, '').split(' | '))

test('every requirement has one row with a verdict and its evidence or reason', () => {
  const topTen = Array.from({ length: 10 }, (_, at) => `API${at + 1}:2023`)

  expect(levelOne).toHaveLength(70)
  expect(rows.map(([id]) => id ?? '')).toEqual([...levelOne, ...topTen])
  for (const row of rows) {
    const [id, asked = '', verdict = '', why = ''] = row
    expect([id, row.length]).toEqual([id, 4])
    expect([id, verdict]).toEqual([id, expect.stringMatching(/^(met|not met|not applicable)$/)])
    expect([id, asked.length > 5, why.length > 10]).toEqual([id, true, true])
    if (verdict === 'met') expect([id, namedIn(why).files.length > 0]).toEqual([id, true])
  }
})

test('the totals match the rows', () => {
  const count = (wanted: string) =>
    rows.filter(([id = '', , verdict]) => id.startsWith('V') && verdict === wanted).length

  expect(texts[1]).toContain(
    `\nOf ${levelOne.length}, ${count('met')} are met, ${count('not applicable')} not applicable, and ${count('not met')} not met.\n`,
  )
})

const sources = await Promise.all(
  [...new Glob('src/**/*.ts').scanSync('.')].map(
    async (path) => [path, await Bun.file(path).text()] as const,
  ),
)
const pathsWith = (pattern: RegExp) =>
  sources.flatMap(([path, source]) => (pattern.test(source) ? [path] : [])).sort()

/** Modules that open connections. `isIP` opens none. */
const callsOut =
  /(?<![.\w])fetch\(|import (?!\{ isIP \}).+ from '(node:)?(net|tls|http|https|http2|dgram)'|Bun\.(connect|udpSocket)|\bWebSocket\(|RedisClient|from 'postgres'/
const named = [
  // The database and the rate-limit store.
  /^src\/(db|rate-limit)\//,
  // Deliveries of webhooks, to addresses that `destination.ts` permits.
  /^src\/webhooks\/(send|destination)\.ts$/,
  // Notifications between instances.
  /^src\/notifications\/redis\.ts$/,
  // The keys of trusted issuers.
  /^src\/auth\/issuers\/key-set\.ts$/,
  // `/health` on this machine; the app's own `fetch` for the server.
  // A socket of this machine.
  /^src\/(cli\/healthcheck|cli\/backup|http\/server)\.ts$/,
]

test('only the named files connect to other hosts, and no file evaluates text or starts another program', () => {
  const callers = pathsWith(callsOut)

  expect(callers).toContain('src/auth/issuers/key-set.ts')
  expect(callers.filter((path) => !named.some((pattern) => pattern.test(path)))).toEqual([])
  expect(
    pathsWith(/child_process|\bspawn|Bun\.\$|import \{ \$|\beval\(|\bFunction\(|node:vm/),
  ).toEqual(['src/cli/workers/worker-process.ts'])
  // The service itself, with a constant argument.
  const [, starting = ''] = sources.find(([path]) => path.endsWith('worker-process.ts')) ?? []
  expect(starting.match(/\bspawn.*/g)).toEqual(["spawn([...ownCommand(), 'worker'], {"])
  expect(starting.match(/\[process.*/g)?.join()).toBe(
    '[process.execPath] : [process.execPath, Bun.main]',
  )
})

test('SHA-256 is the only hash function', () => {
  const hashes = sources.flatMap(([, source]) =>
    [...source.matchAll(/(?:createHash|createHmac|hkdfSync|CryptoHasher)\(\s*'([^']+)'/g)].map(
      ([, name]) => name,
    ),
  )

  expect(hashes.length).toBeGreaterThan(2)
  expect([...new Set(hashes)]).toEqual(['sha256'])
  expect(pathsWith(/Bun\.(MD[45]|SHA)|pbkdf2|scrypt|\bmd5\b|\bsha-?1\b/i)).toEqual([])
})

test('a new database has no account', async () => {
  const migrations = await Promise.all(
    [...new Glob('drizzle/*.sql').scanSync('.')].map((path) => Bun.file(path).text()),
  )

  expect(migrations.length).toBeGreaterThan(0)
  for (const migration of migrations) expect(migration).not.toMatch(/insert\s+into|copy\s/i)
})
