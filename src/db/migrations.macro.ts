import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Reads `drizzle/`. Imported as a macro, it runs when the code is bundled, so that the binary contains the migrations. */
export const readMigrations = () => {
  const folder = join(import.meta.dir, '../../drizzle')
  const journal: { entries: { tag: string; when: number }[] } = JSON.parse(
    readFileSync(join(folder, 'meta/_journal.json'), 'utf8'),
  )
  return journal.entries.map(({ tag, when }) => {
    const text = readFileSync(join(folder, `${tag}.sql`), 'utf8')
    return {
      tag,
      when,
      hash: new Bun.CryptoHasher('sha256').update(text).digest('hex'),
      statements: text.split('--> statement-breakpoint'),
    }
  })
}
