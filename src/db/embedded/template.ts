import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import initdbPath from '@electric-sql/pglite/initdb.wasm' with { type: 'file' }
import bundlePath from '@electric-sql/pglite/pglite.data' with { type: 'file' }
import enginePath from '@electric-sql/pglite/pglite.wasm' with { type: 'file' }
import { assetBytes, decompress } from '../../asset.ts'

/** The build script embeds the template under a name with this prefix. */
const templateName = 'pglite-template'

/** Opens PGlite with the files that the binary contains. `timestamp` in columns.ts relies on UTC. */
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

/** A new cluster as a tarball. Creating one takes seconds and about 900 MB. */
export const buildTemplate = async (compression: 'gzip' | 'none' = 'gzip'): Promise<Blob> => {
  const pglite = await openPGlite()
  try {
    return await pglite.dumpDataDir(compression)
  } finally {
    await pglite.close()
  }
}

/** The template of the binary, or one that an earlier start has cached, or a new one. */
export const loadTemplate = async (): Promise<Blob> => {
  const embedded = Bun.embeddedFiles.find(
    (file) => 'name' in file && String(file.name).includes(templateName),
  )
  if (embedded) return new Blob([await decompress(await embedded.bytes())])
  return Bun.isStandaloneExecutable ? buildTemplate() : cachedTemplate()
}

const cachedTemplate = async () => {
  const folder = join(import.meta.dir, '../../../node_modules/.cache/taskwarden')
  const file = Bun.file(join(folder, `pglite-${await version()}.tar.gz`))
  if (await file.exists()) return new Blob([await file.bytes()], { type: 'application/gzip' })

  const built = await buildTemplate()
  const draft = join(folder, `${Bun.randomUUIDv7()}.tmp`)
  try {
    await mkdir(folder, { recursive: true })
    await Bun.write(draft, built)
    await rename(draft, join(folder, `pglite-${await version()}.tar.gz`))
  } catch {
    // The checkout is read-only: the next start builds a template again.
  }
  return built
}

/** A hash of PGlite's files, because PGlite does not report its version. */
const version = async () => {
  const files = [initdbPath, bundlePath, enginePath]
  const hashes = await Promise.all(
    files.map(async (path) => Bun.hash(await Bun.file(path).bytes())),
  )
  return Bun.hash(hashes.join()).toString(36)
}

const compiled = async (path: string) => WebAssembly.compile(await assetBytes(path))
