import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { service } from '../support/service.ts'

/*
 * The packages of the service, as in bun.lock and node_modules. UPDATE=1 writes docs/licences.md.
 */

type Needs = Record<string, string> | undefined
type About = {
  dependencies?: Needs
  optionalDependencies?: Needs
  peerDependencies?: Needs
  os?: unknown
  cpu?: unknown
}
type Lock = {
  trustedDependencies?: string[]
  packages: Record<string, [spec: string, registry: string, about: About, integrity: string]>
}

const lock = Bun.JSONC.parse(await Bun.file('bun.lock').text()) as Lock
const project = await Bun.file('package.json').json()

/**
 * Permitted licences (SPDX): permissive, the text must be included. MPL-2.0 also requires the source of its files, which the
 * registry has; it does not extend to other files.
 */
const allowed = [
  ...['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0'],
  ...['CC0-1.0', 'ISC', 'MIT', 'MIT-0', 'MPL-2.0', 'PostgreSQL', 'Unlicense'],
]

/** Evaluates an SPDX expression of ids, `OR` and `AND`. */
const isAllowed = (licence: string): boolean =>
  licence
    .replace(/^\((.*)\)$/, '$1')
    .split(' OR ')
    .some((either) => either.split(' AND ').every((id) => allowed.includes(id)))

/** The names in a lock path: `a/@b/c` is `@b/c` inside `a`. */
const namesIn = (path: string): string[] => path.match(/(@[^/]+\/)?[^/]+/g) ?? []

/** Resolves a dependency: nested, or the nearest above. */
const resolved = (name: string, from: string): string | undefined => {
  const around = namesIn(from)
  for (let depth = around.length; depth >= 0; depth--) {
    const path = [...around.slice(0, depth), name].join('/')
    if (path in lock.packages) return path
  }
  return undefined
}

/** All packages of `bun install --production` on every platform, by lock path. */
const production = (): string[] => {
  const found = new Set<string>()
  const walk = (needs: Needs, from: string, isOptional: boolean) => {
    for (const name of Object.keys(needs ?? {})) {
      const path = resolved(name, from)
      if (path === undefined && !isOptional) throw new Error(`${from} needs ${name}`)
      const about = path === undefined ? undefined : lock.packages[path]?.[2]
      if (path === undefined || about === undefined || found.has(path)) continue
      // The binary of a platform has the licence of its parent package.
      if (about.os !== undefined || about.cpu !== undefined) continue
      found.add(path)
      walk(about.dependencies, path, false)
      walk(about.optionalDependencies, path, true)
      walk(about.peerDependencies, path, true)
    }
  }
  walk(project.dependencies, '', false)
  return [...found]
}

const installed = await Promise.all(
  production().map(async (path) => {
    const folder = join('node_modules', namesIn(path).join('/node_modules/'))
    const manifest = await Bun.file(join(folder, 'package.json')).json()
    const { name, version, license, scripts = {} } = manifest
    return { path, name, version, licence: String(license), scripts }
  }),
)

test('every package of the service is installed as locked, at any depth', () => {
  for (const { path, name, version } of installed)
    expect([path, `${name}@${version}`]).toEqual([path, lock.packages[path]?.[0] ?? ''])

  const names = installed.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(Object.keys(project.dependencies)))
  // A dependency of a dependency, and a nested package.
  expect(names).toEqual(expect.arrayContaining(['tdigest', 'bintrees', 'zod']))
})

test('every package has a permitted licence', () => {
  expect(installed.filter(({ licence }) => !isAllowed(licence))).toEqual([])

  for (const licence of ['GPL-3.0-only', 'MIT AND GPL-3.0-only', 'undefined', 'UNLICENSED', ''])
    expect([licence, isAllowed(licence)]).toEqual([licence, false])
  for (const licence of ['MIT', '(MIT OR GPL-3.0-only)', 'MIT AND ISC'])
    expect([licence, isAllowed(licence)]).toEqual([licence, true])
})

test('docs/licences.md lists them', async () => {
  const page = 'docs/licences.md'
  const rows = installed.map(
    ({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`,
  )
  const table = [...new Set(rows)].sort().join('\n')

  const text = await Bun.file(page).text()
  const rule = '| --- | --- | --- |\n'
  const [head] = text.split(rule)
  const now = `${head}${rule}${table}\n`
  if (process.env.UPDATE === '1') await Bun.write(page, now)
  else expect(text).toBe(now)
})

test('no package runs a script at installation', () => {
  const wanting = installed.filter(({ scripts }) =>
    ['preinstall', 'install', 'postinstall'].some((script) => script in scripts),
  )

  expect(project.trustedDependencies).toEqual([])
  expect(lock.trustedDependencies).toEqual([])
  // Its script reports the installation to its vendor. It is not run.
  expect(wanting.map(({ name }) => name)).toEqual(['@scarf/scarf'])
})

test('versions are exact, and contents match the hashes of the lock', async () => {
  const versions = Object.entries({ ...project.dependencies, ...project.devDependencies })
  const places = ['package.json', '.ci/run', 'Dockerfile']
  const texts = await Promise.all(places.map((place) => Bun.file(place).text()))
  const installs = texts.flatMap((text) => text.match(/\bbun install\b[^\n&"]*/g) ?? [])

  expect(
    versions.filter(([, version]) => !/^(npm:[\w-]+@)?\d+\.\d+\.\d+$/.test(String(version))),
  ).toEqual([])
  for (const [path, [, , , integrity]] of Object.entries(lock.packages))
    expect([path, integrity]).toEqual([path, expect.stringMatching(/^sha512-/)])
  expect(installs.length).toBeGreaterThanOrEqual(places.length)
  expect(installs.filter((install) => !install.includes('--frozen-lockfile'))).toEqual([])
  for (const script of ['start', 'test', 'test:attack'])
    expect([script, project.scripts[script]]).toEqual([
      script,
      expect.stringMatching(/^bun install --frozen-lockfile .*&& /),
    ])
})

test('the project declares the MIT licence everywhere', async () => {
  const { app } = await service()
  const text = await Bun.file('LICENSE').text()
  const response = await app.fetch(new Request('http://localhost/docs/json'))
  const { info } = (await response.json()) as { info: { license: unknown } }

  expect(text).toStartWith('MIT License\n\nCopyright (c) 2026 The Taskwarden authors\n')
  expect(project.license).toBe('MIT')
  // OpenAPI 3.1 permits an SPDX identifier, which excludes `url`.
  expect(info.license).toEqual({ name: 'MIT', identifier: 'MIT' })
  expect(await Bun.file('Dockerfile').text()).toContain('image.licenses="MIT"')
})
