import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from './redis.ts'

/** `PGBOUNCER` names a program; otherwise the installed one is used. */
const program =
  process.env.PGBOUNCER ?? Bun.which('pgbouncer', { PATH: `${process.env.PATH}:/usr/sbin` })
const version = /(\d+)\.(\d+)/.exec(
  program ? Bun.spawnSync([program, '--version']).stdout.toString() : '',
)
export const hasPgBouncer = version !== null && Bun.which('setpriv') !== null
/** From 1.21 on, it can keep the named statements of its clients. */
export const keepsNames = Number(version?.[1]) > 1 || Number(version?.[2]) >= 21

/** A PgBouncer in transaction mode before a server. It ends when the process that started it ends in any way. */
export const startPgBouncer = async (serverUrl: string, preparedStatementsMax: number) => {
  const { port, username } = new URL(serverUrl)
  const listenPort = freePort()
  const folder = mkdtempSync(join(tmpdir(), 'taskwarden-'))
  const settings = join(folder, 'pgbouncer.ini')
  await Bun.write(
    settings,
    `[databases]
* = host=127.0.0.1 port=${port || 5432} user=${username || 'postgres'}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
${keepsNames ? `max_prepared_statements = ${preparedStatementsMax}` : ''}
`,
  )
  await Bun.$`chmod -R a+rX ${folder}`.quiet()
  const user = userInfo().uid === 0 ? ['--reuid=postgres', '--regid=postgres', '--init-groups'] : []
  const child = Bun.spawn(['setpriv', '--pdeathsig', 'INT', ...user, program!, '-q', settings], {
    cwd: '/',
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  })
  return {
    port: listenPort,
    stop: async () => {
      child.kill('SIGKILL')
      await child.exited
      rmSync(folder, { recursive: true })
    },
  }
}
