import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import initdbPath from '@electric-sql/pglite/initdb.wasm' with { type: 'file' }
import bundlePath from '@electric-sql/pglite/pglite.data' with { type: 'file' }
import enginePath from '@electric-sql/pglite/pglite.wasm' with { type: 'file' }
import { assetBytes, unpacked } from '../asset.ts'

/** The build script embeds the template under a name that starts so. */
const embeddedName = 'pglite-template'

/** Opens PGlite with the files that the binary carries. UTC: `moment` in the schema relies on it. */
export const openPGlite = async (options: PGliteOptions = {}): Promise<PGlite> => {
  const [pgliteWasmModule, initdbWasmModule] = await Promise.all([
    compiled(enginePath),
    compiled(initdbPath),
  ])
  return PGlite.create({
    pgliteWasmModule,
    initdbWasmModule,
    fsBundle: new Blob([await assetBytes(bundlePath)]),
    startParams: [...PGlite.defaultStartParams, '-c', 'TimeZone=UTC', '-c', 'DateStyle=ISO, YMD'],
    ...options,
  })
}

/** A fresh cluster as a tarball. Making one takes seconds and ~900 MB. */
export const buildTemplate = async (compression: 'gzip' | 'none' = 'gzip'): Promise<Blob> => {
  const pglite = await openPGlite()
  try {
    return await pglite.dumpDataDir(compression)
  } finally {
    await pglite.close()
  }
}

/** The binary's template, or the one that an earlier start left in the cache, or a new one. */
export const template = async (): Promise<Blob> => {
  const embedded = Bun.embeddedFiles.find(
    (file) => 'name' in file && String(file.name).includes(embeddedName),
  )
  if (embedded) return new Blob([await unpacked(await embedded.bytes())])
  return Bun.isStandaloneExecutable ? buildTemplate() : cachedTemplate()
}

const cachedTemplate = async () => {
  const folder = join(import.meta.dir, '../../node_modules/.cache/taskwarden')
  const file = Bun.file(join(folder, `pglite-${await version()}.tar.gz`))
  if (await file.exists()) return new Blob([await file.bytes()], { type: 'application/gzip' })

  const built = await buildTemplate()
  const draft = join(folder, `${Bun.randomUUIDv7()}.tmp`)
  try {
    await mkdir(folder, { recursive: true })
    await Bun.write(draft, built)
    await rename(draft, join(folder, `pglite-${await version()}.tar.gz`))
  } catch {
    // A read-only checkout: the next start makes its own again.
  }
  return built
}

/** What the template depends on, since PGlite does not tell its version: its own files. */
const version = async () => {
  const files = [initdbPath, bundlePath, enginePath]
  const hashes = await Promise.all(
    files.map(async (path) => Bun.hash(await Bun.file(path).bytes())),
  )
  return Bun.hash(hashes.join()).toString(36)
}

const compiled = async (path: string) => WebAssembly.compile(await assetBytes(path))
