import { mkdir, rm } from 'node:fs/promises'
import { buildTemplate } from './db/template.ts'

const outfile = 'dist/taskwarden'
const templateFile = 'dist/pglite-template.tar.zst'

/** zstd's best that still unpacks as fast as the rest: 9 MB of WebAssembly become 2. */
const level = 19

/**
 * Embeds these files compressed: whoever reads them (`asset.ts`) tells so by their first bytes.
 * Half of the image would be the embedded database otherwise, which most do not use.
 */
const packing: Bun.BunPlugin = {
  name: 'packing',
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
 * Makes `dist/taskwarden`, one file with everything in it.
 *
 * Names are not minified: Elysia tells its own validators by their class names, and
 * would validate nothing. The environment is not inlined, nor is a `.env` or a
 * `bunfig.toml` that lies about read: the binary takes what its process was given.
 */
const build = async () => {
  await mkdir('dist', { recursive: true })
  const template = await (await buildTemplate('none')).bytes()
  await Bun.write(templateFile, await Bun.zstdCompress(template, { level }))

  await Bun.build({
    // The second is only embedded: `db/template.ts` finds it among the embedded files.
    entrypoints: ['src/main.ts', templateFile],
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
    minify: { syntax: true, whitespace: true, identifiers: false },
    plugins: [packing],
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
