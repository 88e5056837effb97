import { mkdir, rm } from 'node:fs/promises'
import { buildTemplate } from './db/template.ts'

const outfile = 'dist/taskwarden'
const templateFile = 'dist/pglite-template.tar.gz'

/**
 * Makes `dist/taskwarden`, one file with everything in it.
 *
 * Names are not minified: Elysia tells its own validators by their class names, and
 * would validate nothing. The environment is not inlined, nor is a `.env` or a
 * `bunfig.toml` that lies about read: the binary takes what its process was given.
 */
const build = async () => {
  await mkdir('dist', { recursive: true })
  await Bun.write(templateFile, await buildTemplate())

  await Bun.build({
    // The second is only embedded: `db/template.ts` finds it among the embedded files.
    entrypoints: ['src/main.ts', templateFile],
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
    minify: { syntax: true, whitespace: true, identifiers: false },
    loader: { '.gz': 'file' },
    format: 'esm',
    bytecode: true,
    env: 'disable',
    target: 'bun',
  })

  await rm(templateFile)
  console.log(`${outfile}: ${(Bun.file(outfile).size / 1_000_000).toFixed(0)} MB`)
}

await build()
