import { mkdir, rm } from 'node:fs/promises'
import { buildTemplate } from './db/embedded/template.ts'

const outfile = 'dist/taskwarden'
const templateFile = 'dist/pglite-template.tar.zst'

/** The highest zstd level that decompresses as fast as the others: 9 MB of WebAssembly become 2. */
const level = 19

/**
 * Embeds these files compressed; `asset.ts` detects it by the first bytes. Otherwise half of the image would be the
 * embedded database, which most deployments do not use.
 */
const compression: Bun.BunPlugin = {
  name: 'compression',
  setup: (build) => {
    build.onLoad(
      { filter: /\.(wasm|data)$|swagger-ui(-bundle)?\.(js|css)$/ },
      async ({ path }) => ({
        contents: await Bun.zstdCompress(await Bun.file(path).bytes(), { level }),
        loader: 'file',
      }),
    )
  },
}

/**
 * Builds `dist/taskwarden`, a single binary.
 *
 * Identifiers are not minified: Elysia recognises its validators by class name, and would silently validate
 * nothing. The environment is not inlined, and the binary reads no `.env` and no `bunfig.toml`.
 */
const build = async () => {
  await mkdir('dist', { recursive: true })
  const template = await (await buildTemplate('none')).bytes()
  await Bun.write(templateFile, await Bun.zstdCompress(template, { level }))

  await Bun.build({
    // The template is only embedded. `src/db/embedded/template.ts` finds it in the embedded files.
    entrypoints: ['src/main.ts', templateFile],
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
    minify: { syntax: true, whitespace: true, identifiers: false },
    plugins: [compression],
    loader: { '.zst': 'file' },
    format: 'esm',
    bytecode: true,
    env: 'disable',
    target: 'bun',
  })

  await rm(templateFile)
  console.log(`${outfile}: ${(Bun.file(outfile).size / 1_000_000).toFixed(1)} MB`)
}

await build()
