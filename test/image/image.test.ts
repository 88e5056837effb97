import { expect, test } from 'bun:test'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/* The image that test/image/run built: its files, and what it says of itself. */

if (!process.env.TEST_IMAGE_ROOT) {
  console.error('these tests need an image: run bun run test:image')
  process.exit(1)
}
const root = process.env.TEST_IMAGE_ROOT
const inspected = await Bun.file(process.env.TEST_IMAGE_CONFIG ?? '').json()
const { config } = inspected.Docker

/** Every file, with mode, owner and size. */
const files = async () => {
  const names = await readdir(root, { recursive: true })
  const found = await Promise.all(
    names.map(async (name) => ({ name, ...(await lstat(join(root, name))) })),
  )
  return found.map(({ name, mode, uid, size }) => ({ name, mode, uid, size }))
}
const isFile = ({ mode }: { mode: number }) => (mode & 0o170000) === 0o100000

test('the image has at most 140 MB, uncompressed', async () => {
  const bytes = (await files()).filter(isFile).reduce((sum, { size }) => sum + size, 0)

  console.log(`the image has ${(bytes / 1_000_000).toFixed(1)} MB`)
  expect(bytes).toBeGreaterThan(50_000_000)
  expect(bytes).toBeLessThanOrEqual(140_000_000)
})

test('the image contains only the binary, its libraries and its user: no shell', async () => {
  const found = (await files()).filter(isFile).map(({ name }) => name)

  const others = found.filter(
    (name) => !/^(usr\/)?lib(64)?\/.*(ld-linux|lib(c|m|dl|pthread)\.so)/.test(name),
  )
  expect(others.sort()).toEqual(['etc/group', 'etc/nsswitch.conf', 'etc/passwd', 'taskwarden'])
})

test('the user can write to /data only, and no file has setuid or setgid', async () => {
  const all = await files()

  expect(all.filter(({ uid }) => uid !== 0).map(({ name }) => name)).toEqual(['data'])
  expect(all.filter(({ mode }) => (mode & 0o6000) !== 0)).toEqual([])
  expect(all.filter(({ mode }) => (mode & 0o170000) !== 0o120000 && (mode & 0o002) !== 0)).toEqual(
    [],
  )
})

test('the image runs the binary as a user without rights, with a health check and a stop signal', () => {
  expect(config).toMatchObject({
    User: '65532:65532',
    Entrypoint: ['/taskwarden'],
    StopSignal: 'SIGTERM',
    Healthcheck: { Test: ['CMD', '/taskwarden', 'healthcheck'] },
    ExposedPorts: { '3000/tcp': {} },
  })
  expect(config.Cmd ?? []).toEqual([])
  expect(config.Env).toContain('NODE_ENV=production')
  expect(config.Env.join('\n')).not.toMatch(/SECRET|DATABASE_URL|TOKEN/)
})
