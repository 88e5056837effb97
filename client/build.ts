import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import project from '../package.json' with { type: 'json' }
import { generateTypes } from './generate.ts'

/*
 * Writes the package of the client: `bun run build:client [folder]`, by default dist/client.
 *
 * openapi-fetch is part of it, code and types (15 KB), so that the folder or its tarball can be
 * installed without a registry and without a second version of it in the other repository.
 */

const root = join(import.meta.dir, '..')
const outdir = resolve(process.argv[2] ?? join(root, 'dist/client'))
const libraries = {
  'openapi-fetch': 'dist/index.d.mts',
  'openapi-typescript-helpers': 'dist/index.d.mts',
}

const manifest = {
  name: 'taskwarden-client',
  version: project.version,
  description: 'A typed client of the Taskwarden API for Node.js, Bun and browsers',
  license: project.license,
  type: 'module',
  sideEffects: false,
  exports: { '.': { types: './index.d.ts', default: './index.js' } },
  types: './index.d.ts',
  // AbortSignal.any
  engines: { node: '>=20.3' },
}

const writeCode = () =>
  Bun.build({
    entrypoints: [join(root, 'client/src/index.ts')],
    outdir,
    target: 'browser',
    format: 'esm',
  })

const writeTypes = async () => {
  const tsc = Bun.spawn(
    [process.execPath, 'node_modules/.bin/tsc', '-p', 'client/tsconfig.json', '--outDir', outdir],
    { cwd: root, stdout: 'inherit', stderr: 'inherit' },
  )
  if ((await tsc.exited) !== 0) throw new Error('the client has type errors')
  for (const [name, types] of Object.entries(libraries))
    await copy(join(root, 'node_modules', name, types), `vendor/${name}.d.ts`)
  for await (const file of new Bun.Glob('**/*.d.ts').scan(outdir)) await relink(file)
}

/** Imports name what is in the package, by the extension that Node.js asks for. */
const relink = async (file: string) => {
  const text = await Bun.file(join(outdir, file)).text()
  const vendor = file.startsWith('vendor/') ? './' : './vendor/'
  const relinked = text
    .replace(/(["'])(\.\/[\w-]+)\.ts\1/g, '$1$2.js$1')
    .replace(
      /(["'])(openapi-[a-z-]+)\1/g,
      (_, quote, name) => `${quote}${vendor}${name}.js${quote}`,
    )
  await Bun.write(join(outdir, file), relinked)
}

const writeLicences = async () => {
  await copy(join(root, 'LICENSE'), 'LICENSE')
  const texts = Object.keys(libraries).map(async (name) => {
    const licence = await Bun.file(join(root, 'node_modules', name, 'LICENSE')).text()
    return `${name}\n\n${licence}`
  })
  await Bun.write(join(outdir, 'vendor/LICENSES'), (await Promise.all(texts)).join('\n\n'))
}

const copy = (from: string, to: string) => Bun.write(join(outdir, to), Bun.file(from))

await rm(outdir, { recursive: true, force: true })
await mkdir(outdir, { recursive: true })
await generateTypes()
await Promise.all([writeCode(), writeTypes(), writeLicences()])
await Bun.write(join(outdir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
await copy(join(root, 'client/README.md'), 'README.md')
