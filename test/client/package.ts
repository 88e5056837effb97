import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { running } from '../support/running.ts'

type Package = { folder: string; tarball: string }

/** Built once for all test files of the process. */
const shared = globalThis as typeof globalThis & { clientPackage?: Promise<Package> }

/** The client as a package: its folder, and the tarball that another repository installs. */
export const clientPackage = (): Promise<Package> => {
  shared.clientPackage ??= build()
  return shared.clientPackage
}

const build = async (): Promise<Package> => {
  const work = await mkdtemp(join(tmpdir(), 'taskwarden-client-'))
  process.on('exit', () => rmSync(work, { recursive: true, force: true }))
  const folder = join(work, 'package')
  await succeed([process.execPath, 'client/build.ts', folder])
  await succeed([process.execPath, 'pm', 'pack', '--destination', work], folder)
  const [name] = [...new Bun.Glob('*.tgz').scanSync(work)]
  return { folder, tarball: join(work, name ?? '') }
}

/** Runs a command that must not fail, and returns what it printed. */
export const succeed = async (
  command: string[],
  cwd = '.',
  env: Record<string, string> = {},
): Promise<string> => {
  const { code, out, err } = await running(command, env, cwd)
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${out}${err}`)
  return out
}
