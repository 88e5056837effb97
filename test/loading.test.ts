import { expect, test } from 'bun:test'
import { join } from 'node:path'

/** Every file that a process has loaded once the program has run. */
const loadedBy = async (program: string): Promise<string[]> => {
  const child = Bun.spawn(
    [process.execPath, '-e', `${program}\nconsole.log(JSON.stringify(Object.keys(require.cache)))`],
    { cwd: join(import.meta.dir, '..'), env: {}, stderr: 'inherit' },
  )
  return JSON.parse(await child.stdout.text())
}

/** What takes memory, or time at each start, and only some processes or requests need. */
const rare = /language-common|common-passwords|csv-parse|@elysiajs\/swagger|@electric-sql\/pglite\//

test('a service on PostgreSQL starts without what only some of its requests need', async () => {
  const loaded = await loadedBy(`await import('./src/commands/serve.ts')`)

  expect(loaded.some((file) => file.endsWith('src/app.ts'))).toBe(true)
  expect(loaded.filter((file) => rare.test(file))).toEqual([])
})

test('the list of common passwords is one text, not the package that it comes from', async () => {
  const loaded = await loadedBy(`await import('./src/auth/common-passwords.ts')`)

  expect(loaded.some((file) => file.endsWith('src/auth/common-passwords.ts'))).toBe(true)
  expect(loaded.filter((file) => /language-common/.test(file))).toEqual([])
})
