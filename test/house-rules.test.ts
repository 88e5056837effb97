import { expect, test } from 'bun:test'
import { Glob } from 'bun'

/** What a feature may take from another: who asks, and how a dead session is refused. */
const shared = ['../auth/guard.ts', '../auth/caller.ts']
const features = ['auth', 'tasks', 'health']
/** The wall clock is read where time is what the code is about. */
const clocks = [
  'src/auth/login-throttle.ts',
  'src/auth/authenticator.ts',
  'src/auth/issuers/key-set.ts',
  'src/auth/access-tokens/jwt.ts',
  'src/auth/issuers/verifier.ts',
  'src/auth/access-tokens/token-cache.ts',
  'src/cli/doctor.ts',
  'src/rate-limit/memory.ts',
  'src/rate-limit/postgres.ts',
  'src/rate-limit/redis.ts',
  'src/db/clock.ts',
  'src/http/access-log.ts',
  'src/http/rate-limit.ts',
  'src/schema/types.ts',
]

const files = [...new Glob('src/**/*.ts').scanSync('.')].filter((path) => !path.endsWith('.d.ts'))

test.each(files)('%s keeps the house rules', async (path) => {
  const source = await Bun.file(path).text()
  const imports = [...source.matchAll(/from '(\.[^']+)'/g)].flatMap(([, to]) => to ?? [])
  const [, feature = ''] = /^src\/(\w+)\//.exec(path) ?? []

  expect(source.split('\n').length).toBeLessThanOrEqual(201)
  expect(source).not.toMatch(
    /\b(TODO|FIXME|XXX|HACK)\b|@ts-(ignore|nocheck)|\bas any\b|as unknown as/,
  )
  if (!clocks.includes(path)) expect(source).not.toMatch(/new Date\(\)|Date\.now\(\)/)
  // A body that a route answers an error with comes from the catalogue, never by hand.
  expect(source).not.toMatch(/set\.status = [45]\d\d/)
  if (features.includes(feature))
    for (const other of features.filter((name) => name !== feature))
      expect(imports.filter((to) => to.startsWith(`../${other}/`) && !shared.includes(to))).toEqual(
        [],
      )
})

test.each(files)('%s says what it exports', async (path) => {
  const lines = (await Bun.file(path).text()).split('\n')

  const bare = lines.filter(
    (line, at) =>
      /^export (const|class) \w+ ?(=|extends|\{)/.test(line) &&
      /=> ?[{(]?$|class |async /.test(line) &&
      !/^( \*\/|\/\/|\/\*\*)/.test(lines[at - 1] ?? ''),
  )

  expect(bare).toEqual([])
})
