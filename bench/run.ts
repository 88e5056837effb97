import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Sql } from 'postgres'
import { chartOf } from './chart.ts'
import { checkEqual } from './equal.ts'
import { bcryptCost, createAccessTokens, load, restore, type Size } from './fixture.ts'
import { type Cell, drive, hasPgbench, pgbench, type Target, workloads } from './load.ts'
import { type Postgres, startPostgres } from './postgres.ts'
import { summaryOf, tablesOf } from './report.ts'
import { createTaskStatements, type Statement } from './statements.ts'
import { kinds, start } from './systems.ts'

/*
 * `bun run bench`: the speed of the service, compared with alternatives and with the limit of the machine.
 * `bench/README.md` explains the measurements, `docs/performance.md` has the results.
 */

const comparable = Object.keys(kinds).filter((name) => name !== 'previous' || process.env.PREVIOUS)

const { values: given } = parseArgs({
  options: {
    /** Two seconds per cell and one round: a quick try. */
    quick: { type: 'boolean', default: false },
    /** Also 500 tasks per user in a second database, for taskwarden only. */
    large: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    connections: { type: 'string', default: '32,1000' },
    systems: { type: 'string', default: `${comparable.join(',')},pgbench` },
    workloads: { type: 'string', default: workloads.join(',') },
    /** The folder for `results.json` and `chart.svg`. */
    into: { type: 'string', default: import.meta.dir },
  },
})
const seconds = Number(given.seconds ?? (given.quick ? 2 : 10))
const rounds = Number(given.rounds ?? (given.quick ? 1 : 3))
const connectionCounts = given.connections.split(',').map(Number)
const names = given.systems.split(',')
const wanted = given.workloads.split(',')

const resultsFile = Bun.file(join(given.into, 'results.json'))

const poolMax = 10
const users = 10_000
const small: Size = { users, tasksPerUser: 20 }
const large: Size = { users, tasksPerUser: 500 }
const largeName = 'taskwarden 500'

const secret = `${crypto.randomUUID()}${crypto.randomUUID()}`
/** Limits are on and count each request, and are never reached. */
const environment = (url: string, folder: string) => ({
  DATABASE_URL: url,
  JWT_SECRET: secret,
  RATE_LIMIT: '1000000',
  RATE_WINDOW_SECONDS: '600',
  LOGIN_ATTEMPTS: '1000000',
  LOGIN_ATTEMPTS_PER_ACCOUNT: '1000000',
  LOGIN_ATTEMPTS_PER_ADDRESS: '1000000',
  BCRYPT_COST: String(bcryptCost),
  BCRYPT_QUEUE_MAX: '10000',
  DB_POOL_MAX: String(poolMax),
  DRAIN_MS: '0',
  HOST: '127.0.0.1',
  STATEMENTS: join(folder, 'statements.json'),
})

const migrate = async (env: Record<string, string>) => {
  await kinds.taskwarden?.prepare?.()
  const [binary = ''] = kinds.taskwarden?.command(0) ?? []
  const child = Bun.spawn([binary, 'migrate'], { env, stdout: 'ignore', stderr: 'inherit' })
  if ((await child.exited) !== 0) throw new Error('the schema could not be made')
}

/** Clean-up steps, executed in reverse order. */
const undo: (() => Promise<unknown>)[] = []

const loaded = async (url: string, folder: string, size: Size): Promise<Sql> => {
  await migrate(environment(url, folder))
  console.log(`loading ${size.users} accounts with ${size.tasksPerUser} tasks each`)
  const sql = await load(url, size)
  undo.push(() => sql.end())
  return sql
}

const allTargets = async (postgres: Postgres, folder: string, sql: Sql): Promise<Target[]> => {
  const targets: Target[] = []
  const add = async (name: string, url: string, target: Omit<Target, 'system'>, kind = name) => {
    const system = await start(kind, { folder, env: environment(url, folder) }, name)
    undo.push(system.stop)
    targets.push({ ...target, system })
  }
  for (const name of names.filter((name) => name !== 'pgbench'))
    await add(name, postgres.url, { sql, size: small })
  if (given.large) {
    const url = postgres.url.replace(/postgres$/, 'large')
    await sql.unsafe('create database large')
    await add(largeName, url, { sql: await loaded(url, folder, large), size: large }, 'taskwarden')
  }
  return targets
}

const main = async (folder: string) => {
  const postgres = await startPostgres(folder)
  undo.push(postgres.stop)
  const sql = await loaded(postgres.url, folder, small)
  const statements = await createTaskStatements(postgres.url)
  await Bun.write(join(folder, 'statements.json'), JSON.stringify(statements))
  // One more than there are users: its signature is valid, and its session does not exist.
  const tokens = createAccessTokens(secret, users + 1)
  const tokensFile = join(folder, 'tokens')
  await Bun.write(tokensFile, `${tokens.join('\n')}\n`)

  const targets = await allTargets(postgres, folder, sql)
  const { checked, differences } = await checkEqual(
    targets.flatMap(({ system, size }) => (size === small ? system : [])),
    tokens,
    small.tasksPerUser,
    () => restore(sql),
  )
  console.log(differences.join('\n'))
  if (differences.length > 0) throw new Error(`${differences.length} answers differ`)
  console.log(`${checked} requests were answered alike by all systems`)
  for (const target of targets) await restore(target.sql)

  const surroundings = { folder, tokensFile, postgres, statements, poolMax }
  const base = { sql, size: small }
  const cells = await measure(targets, surroundings, base, (cells) => report(cells, postgres))
  console.log(`\n${tablesOf(summaryOf(cells))}`)
}

type Surroundings = Parameters<typeof drive>[2] & {
  statements: Record<string, Statement>
  poolMax: number
}

/** Systems alternate within each workload. Each round starts with another system. */
const measure = async (
  targets: Target[],
  surroundings: Surroundings,
  base: Omit<Target, 'system'>,
  afterRound: (cells: Cell[]) => Promise<void>,
) => {
  const cells: Cell[] = []
  for (const target of targets)
    for (const workload of ['read one', 'list 20', 'toggle', 'replace', 'create']) {
      // Until most tokens are cached: a token is used for a day, and is new to a server only once.
      const long = workload === 'read one' ? 5 : 2
      await drive(target, { workload, connections: 32, seconds: long, round: 0 }, surroundings)
    }

  for (let round = 1; round <= rounds; round += 1) {
    for (const workload of wanted)
      for (const connections of connectionCounts) {
        // A password verification takes a core: a thousand at once are a queue in every system.
        if (workload === 'sign-in' && connections > 32) continue
        const long = workload === 'sign-in' ? Math.max(seconds, 10) : seconds
        const how = { workload, connections, seconds: long, round }
        const turn = [
          ...targets.slice(round % targets.length),
          ...targets.slice(0, round % targets.length),
        ]
        for (const target of turn) cells.push(tell(await drive(target, how, surroundings)))
        if (names.includes('pgbench') && hasPgbench(workload))
          cells.push(tell(await pgbench(base, how, surroundings)))
      }
    // An interrupted run reports its complete rounds.
    await afterRound(cells)
  }
  return cells
}

const tell = (cell: Cell): Cell => {
  const { round, workload, connections, system, requestsPerSecond, p50Ms, p99Ms, refused, broken } =
    cell
  const figures = `${requestsPerSecond.toFixed(0)}/s, p50 ${p50Ms?.toFixed(1)}, p99 ${p99Ms?.toFixed(1)} ms`
  console.log(
    `${round} ${workload} ${connections}: ${system} ${figures}, ${refused + broken} errors`,
  )
  return cell
}

const versionOf = async (...command: string[]) => {
  const text = await Bun.spawn(command, { stdout: 'pipe', stderr: 'ignore' }).stdout.text()
  return text.trim().split('\n')[0]
}

const report = async (cells: Cell[], postgres: Postgres) => {
  const rows = summaryOf(cells)
  const about = {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    bun: Bun.version,
    node: await versionOf('node', '--version'),
    python: await versionOf('python3', '--version'),
    postgres: await versionOf(postgres.pgbench, '--version'),
    postgresSettings: postgres.settings,
    ...{ seconds, rounds, users, tasksPerUser: small.tasksPerUser, poolMax, bcryptCost },
  }
  await Bun.write(resultsFile, `${JSON.stringify({ about, rows, cells }, null, 1)}\n`)
  const shown = wanted.filter((workload) => workload !== 'sign-in')
  const note = `${users.toLocaleString('en')} users × ${small.tasksPerUser} tasks, ${about.cores} cores shared by server, PostgreSQL and wrk; medians of ${rounds} rounds`
  const [most = 32] = connectionCounts
  await Bun.write(join(given.into, 'chart.svg'), chartOf(rows, shown, most, note))
}

const folder = await mkdtemp(join(tmpdir(), 'bench-'))
let tidied: Promise<void> | undefined
const tidy = () => {
  tidied ??= (async () => {
    for (const step of undo.splice(0).reverse()) await step().catch((error) => console.error(error))
    await rm(folder, { recursive: true, force: true })
  })()
  return tidied
}
process.on('SIGINT', () => void tidy().finally(() => process.exit(130)))
process.on('SIGTERM', () => void tidy().finally(() => process.exit(143)))
try {
  await main(folder)
} finally {
  await tidy()
}
