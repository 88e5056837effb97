import { chownSync, mkdirSync, readdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { freePort, scratch, spawn, stop, unprivileged, until } from './processes.ts'

const isRoot = userInfo().uid === 0

/** A folder that the user of the servers may write to. */
const ownedFolder = (name: string): string => {
  const path = join(scratch(), name)
  mkdirSync(path)
  if (isRoot) {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(Bun.spawnSync(['id', flag, 'postgres']).stdout.toString()),
    )
    chownSync(path, uid ?? 0, gid ?? 0)
  }
  return path
}

const postgresPrograms = (): string => {
  const root = '/usr/lib/postgresql'
  const newest = readdirSync(root).sort((a, b) => Number(b) - Number(a))[0]
  if (newest === undefined) throw new Error(`no PostgreSQL in ${root}`)
  return join(root, newest, 'bin')
}

export type Postgres = Awaited<ReturnType<typeof startPostgres>>

/** A PostgreSQL server with full durability: no setting is weakened. */
export const startPostgres = async () => {
  const programs = postgresPrograms()
  const folder = ownedFolder('postgres')
  const port = freePort()
  const log = join(scratch(), 'postgres.log')
  const made = spawn(
    unprivileged([
      join(programs, 'initdb'),
      ...['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8'],
    ]),
    { log },
  )
  if ((await made.exited) !== 0) throw new Error(`initdb failed: ${await Bun.file(log).text()}`)

  let child: Bun.Subprocess | undefined
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`

  /** Uses a new connection, because open ones may be lost. */
  const tell = async (statement: string, database = 'postgres') => {
    const sql = postgres(urlOf(database), { max: 1, connect_timeout: 5, onnotice: () => {} })
    try {
      return await sql.unsafe(statement)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
  const start = async () => {
    child = spawn(
      unprivileged([
        join(programs, 'postgres'),
        ...['-D', folder, '-h', '127.0.0.1', '-p', String(port), '-k', folder],
        ...['-c', 'max_connections=300'],
      ]),
      { log, endedBy: 'SIGQUIT' },
    )
    const answers = () =>
      tell('select 1').then(
        () => true,
        () => false,
      )
    await until('PostgreSQL answers', answers, { everyMs: 20 })
  }
  /** `fast` rolls back and closes connections, `immediate` is a crash. */
  const halt = async (mode: 'fast' | 'immediate') => {
    if (child !== undefined) await stop(child, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  }

  await start()
  return {
    port,
    urlOf,
    tell,
    start,
    halt,
    newDatabase: async () => {
      const name = `chaos_${Bun.randomUUIDv7().replaceAll('-', '')}`
      await tell(`create database ${name}`)
      return name
    },
    /** A connection that is kept, for locks. */
    connect: (database: string) =>
      postgres(urlOf(database), { max: 1, idle_timeout: 0, onnotice: () => {} }),
    /** Resolves when no statement runs any more whose client got no response. */
    quiet: (database: string) =>
      until('no statement runs', async () => {
        const [row] = await tell(
          `select count(*)::int as n from pg_stat_activity where datname = '${database}'
           and pid <> pg_backend_pid() and state <> 'idle'`,
        )
        return row?.n === 0
      }),
  }
}

export type Redis = Awaited<ReturnType<typeof startRedis>>

export const startRedis = async () => {
  const folder = join(scratch(), 'redis')
  mkdirSync(folder)
  const port = freePort()
  let child: Bun.Subprocess | undefined
  const start = async () => {
    child = spawn(
      [
        'redis-server',
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
        ...['--save', '', '--appendonly', 'no', '--daemonize', 'no'],
      ],
      { log: join(scratch(), 'redis.log') },
    )
    const answers = async () => {
      const redis = new Bun.RedisClient(`redis://127.0.0.1:${port}`, { autoReconnect: false })
      try {
        return (await redis.send('PING', [])) === 'PONG'
      } catch {
        return false
      } finally {
        redis.close()
      }
    }
    await until('Redis answers', answers, { everyMs: 20 })
  }
  await start()
  let databases = 0
  return {
    /** A URL with an unused database number; a Redis has 16. */
    newDatabase: () => `redis://127.0.0.1:${port}/${databases++}`,
    start,
    halt: async () => {
      if (child !== undefined) await stop(child, 'SIGKILL')
    },
  }
}

/** PgBouncer in transaction mode, in front of one PostgreSQL. */
export const startPgBouncer = async (target: Postgres) => {
  const folder = ownedFolder('pgbouncer')
  const port = freePort()
  const settings = join(folder, 'pgbouncer.ini')
  await Bun.write(
    settings,
    `[databases]
* = host=127.0.0.1 port=${target.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
server_login_retry = 1
`,
  )
  let child: Bun.Subprocess | undefined
  const plainUrlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`
  const start = async () => {
    child = spawn(unprivileged(['pgbouncer', settings]), { log: join(scratch(), 'pgbouncer.log') })
    const answers = async () => {
      const sql = postgres(plainUrlOf('postgres'), { max: 1, connect_timeout: 2, prepare: false })
      return sql
        .unsafe('select 1')
        .then(
          () => true,
          () => false,
        )
        .finally(() => sql.end({ timeout: 1 }))
    }
    await until('PgBouncer answers', answers, { everyMs: 50 })
  }
  await start()
  return {
    urlOf: (database: string) => `${plainUrlOf(database)}?pgbouncer=true`,
    start,
    halt: async () => {
      if (child !== undefined) await stop(child, 'SIGKILL')
    },
  }
}

export type PgBouncer = Awaited<ReturnType<typeof startPgBouncer>>

export const hasNginx = Bun.which('nginx') !== null

/** nginx with its default buffering, in front of some ports. */
export const startNginx = async (ports: number[]) => {
  const folder = join(scratch(), 'nginx')
  mkdirSync(folder, { recursive: true })
  const port = freePort()
  const settings = join(folder, 'nginx.conf')
  const files = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  )
  await Bun.write(
    settings,
    `daemon off; pid ${join(folder, 'pid')}; error_log ${join(folder, 'error.log')};
    events { worker_connections 2000; }
    http {
      access_log off; ${files.join(' ')}
      upstream instances { ${ports.map((one) => `server 127.0.0.1:${one};`).join(' ')} }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://instances; proxy_http_version 1.1; }
      }
    }`,
  )
  const child = spawn(['nginx', '-c', settings, '-p', folder], {
    log: join(scratch(), 'nginx.log'),
  })
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until('nginx answers', answers, { everyMs: 20 })
  return { port, stop: () => stop(child, 'SIGTERM') }
}
