import { expect } from 'bun:test'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { running } from '../support/running.ts'

/* Applies the blocks of a page to a copy of this project. */

/** The folder of the project. */
export const root = join(import.meta.dir, '../..')

/** The fenced blocks of a page: `diff` or `ts` with a path, or `sh`. */
export const blocksOf = async (path: string) => {
  const page = await Bun.file(join(root, path)).text()
  return [...page.matchAll(/^```(\S+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(
    ([, kind, path = '', text = '']) => ({ kind, path, text }),
  )
}

/** Not copied; packages are linked. */
const left = ['.git', 'node_modules', 'dist', 'data', 'coverage']

/** A copy of the project, which is deleted in the end. */
export const copied = async () => {
  const copy = await mkdtemp(join(tmpdir(), 'taskwarden-field-'))
  await cp(root, copy, {
    recursive: true,
    filter: (path) => path === root || !left.includes(basename(path)),
  })
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  return { copy, [Symbol.asyncDispose]: () => rm(copy, { recursive: true, force: true }) }
}

/** Inserts the `+` lines between their neighbours, which occur once in the file. */
export const applied = async (copy: string, path: string, text: string) => {
  const lines = text.split('\n').filter((line) => line !== '')
  const without = (mark: string) =>
    lines
      .filter((line) => !line.startsWith(mark))
      .map((line) => line.slice(1))
      .join('\n')
  const before = without('+')
  const file = Bun.file(join(copy, path))
  const parts = (await file.text()).split(`${before}\n`)
  expect([path, before, parts.length]).toEqual([path, before, 2])
  await file.write(parts.join(`${without('-')}\n`))
}

/** Always on the embedded database: the copy has a migration that other databases lack. */
export const ran = async (copy: string, command: string[]) => {
  const { TEST_DATABASE_URL: _, TEST_DIRECT_DATABASE_URL: __, ...others } = process.env
  const env = Object.fromEntries(Object.entries(others).map(([name, value = '']) => [name, value]))
  const { code, out, err } = await running(command, { ...env, NO_COLOR: '1' }, copy)
  return { code, said: code === 0 ? '' : out + err }
}

/** The result of a command that succeeds. */
export const fine = { code: 0, said: '' }
