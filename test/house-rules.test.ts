import { expect, test } from 'bun:test'
import { Glob } from 'bun'

/** Files that may read the wall clock, because time is their subject. */
const clocks = [
  'src/auth/login-throttle.ts',
  'src/auth/authenticator.ts',
  'src/auth/issuers/key-set.ts',
  'src/auth/access-tokens/jwt.ts',
  'src/auth/issuers/verifier.ts',
  'src/auth/sessions/activity.ts',
  'src/auth/access-tokens/token-cache.ts',
  'src/cli/doctor.ts',
  'src/mail/delivery.ts',
  'src/rate-limit/memory.ts',
  'src/rate-limit/postgres.ts',
  'src/rate-limit/redis.ts',
  'src/db/clock.ts',
  'src/log.ts',
  'src/http/rate-limit.ts',
  'src/schema/types.ts',
]

const files = [...new Glob('src/**/*.ts').scanSync('.')].filter((path) => !path.endsWith('.d.ts'))

test.each(files)('%s keeps the house rules', async (path) => {
  const source = await Bun.file(path).text()

  expect(source.split('\n').length).toBeLessThanOrEqual(201)
  expect(source).not.toMatch(
    /\b(TODO|FIXME|XXX|HACK)\b|@ts-(ignore|nocheck)|\bas any\b|as unknown as/,
  )
  if (!clocks.includes(path)) expect(source).not.toMatch(/new Date\(\)|Date\.now\(\)/)
  // Error responses come from the problem catalogue only.
  expect(source).not.toMatch(/set\.status = [45]\d\d/)
})

test.each(files)('%s documents its exports', async (path) => {
  const lines = (await Bun.file(path).text()).split('\n')

  const bare = lines.filter(
    (line, at) =>
      /^export (const|class) \w+ ?(=|extends|\{)/.test(line) &&
      /=> ?[{(]?$|class |async /.test(line) &&
      !/^( \*\/|\/\/|\/\*\*)/.test(lines[at - 1] ?? ''),
  )

  expect(bare).toEqual([])
})
