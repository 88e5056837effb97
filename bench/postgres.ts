import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Glob } from 'bun'

/**
 * The settings of a production server: durable, with statistics and enough memory for the data. The time zone is set
 * for peers that do not set one.
 */
const settings = {
  max_connections: '200',
  shared_buffers: '1GB',
  max_wal_size: '4GB',
  effective_cache_size: '4GB',
  timezone: 'UTC',
  listen_addresses: '127.0.0.1',
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** PostgreSQL refuses to run as root. */
const asPostgres = (command: string[]) =>
  process.getuid?.() === 0
    ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', ...command]
    : command

const binaries = () => {
  const found = [...new Glob('*/bin/initdb').scanSync('/usr/lib/postgresql')].sort()
  const newest = found.at(-1)
  if (newest === undefined) throw new Error('needs PostgreSQL: apt-get install postgresql')
  return join('/usr/lib/postgresql', newest, '..')
}

const run = async (command: string[]) => {
  const child = Bun.spawn(asPostgres(command), { cwd: '/', stdout: 'pipe', stderr: 'pipe' })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
  if ((await child.exited) !== 0) throw new Error(`${command[0]}: ${out}${err}`)
}

/** Starts a server with its data in `folder`. */
export const startPostgres = async (folder: string) => {
  const bin = binaries()
  const data = join(folder, 'postgres')
  const port = await freePort()
  await chmod(folder, 0o755)
  await mkdir(data)
  if (process.getuid?.() === 0) {
    const chown = Bun.spawn(['chown', 'postgres', data])
    if ((await chown.exited) !== 0) throw new Error('there is no user postgres')
  }
  const how = ['-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '-U', 'postgres']
  await run([join(bin, 'initdb'), '-D', data, ...how])
  const options = Object.entries({ ...settings, port: String(port), unix_socket_directories: data })
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
  const ctl = join(bin, 'pg_ctl')
  await run([ctl, '-D', data, '-l', join(data, 'log'), '-w', '-o', options, 'start'])
  const [pid = ''] = (await Bun.file(join(data, 'postmaster.pid')).text()).split('\n')

  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    pid: Number(pid),
    pgbench: join(bin, 'pgbench'),
    settings,
    async stop() {
      await run([ctl, '-D', data, '-m', 'fast', '-w', 'stop'])
      await rm(data, { recursive: true, force: true })
    },
  }
}

export type Postgres = Awaited<ReturnType<typeof startPostgres>>
