import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { restore, type Size } from './fixture.ts'
import type { Postgres } from './postgres.ts'
import { cpuSecondsOf, rssMbOf } from './processes.ts'
import { type Statement, scriptOf } from './statements.ts'
import type { System } from './systems.ts'

/** The statement that pgbench runs for a workload; other workloads have none. */
const statementOf: Record<string, string> = {
  'read one': 'find',
  'list 20': 'list',
  create: 'add',
  toggle: 'complete',
  replace: 'replace',
}
export const workloads: string[] = [
  ...['read one', 'list 20', '304', '401', 'toggle', 'replace', 'create', 'mix', 'sign-in'],
]

export const hasPgbench = (workload: string) => workload in statementOf
const writes = new Set(['toggle', 'replace', 'create', 'mix', 'sign-in'])

/** The system to measure, and its database. */
export type Target = { system: System; sql: Sql; size: Size }

export type Cell = {
  system: string
  workload: string
  connections: number
  round: number
  requestsPerSecond: number
  p50Ms: number | null
  p95Ms: number | null
  p99Ms: number | null
  maxMs: number | null
  /** Responses with another status than the workload expects. */
  refused: number
  /** Broken connections, and responses that took longer than 10 s. */
  broken: number
  serverCpuSecondsPer1000: number | null
  postgresCpuSecondsPer1000: number | null
  rssMb: number | null
}

type Load = { workload: string; connections: number; seconds: number; round: number }
type Surroundings = { folder: string; tokensFile: string; postgres: Postgres }

const output = async (command: string[]): Promise<string> => {
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
  if ((await child.exited) !== 0) throw new Error(`${command.join(' ')}: ${out}${err}`)
  return out
}

/**
 * Waits until a server has finished its requests. A server that is slower than its clients continues with abandoned
 * requests, which would disturb the next measurement.
 */
const settled = async (pid: number) => {
  for (let tries = 0; tries < 100; tries += 1) {
    const before = cpuSecondsOf(pid)
    await Bun.sleep(100)
    if (cpuSecondsOf(pid) - before < 0.02) return
  }
}

/**
 * Measures one system under one workload with `wrk`. Each connection has one request in flight, and latencies are
 * measured per connection.
 */
export const drive = async (
  { system, sql, size }: Target,
  { workload, connections, seconds, round }: Load,
  { folder, tokensFile, postgres }: Surroundings,
): Promise<Cell> => {
  const before = [cpuSecondsOf(system.pid), cpuSecondsOf(postgres.pid)] as const
  const out = await output([
    ...['wrk', '-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '10s'],
    ...['-s', join(import.meta.dir, 'workloads.lua'), `http://127.0.0.1:${system.port}`, '--'],
    ...[workload, tokensFile, String(size.tasksPerUser), String(size.users), String(round)],
  ])
  const [, result] = /RESULT (\{.*\})/.exec(out) ?? []
  if (result === undefined) throw new Error(`wrk said: ${out}`)
  const { requests, durationUs, p50Us, p95Us, p99Us, maxUs, refused, broken, timeouts } =
    JSON.parse(result)
  const server = cpuSecondsOf(system.pid) - before[0]
  const database = cpuSecondsOf(postgres.pid) - before[1]
  const rssMb = rssMbOf(system.pid)
  await settled(system.pid)
  truncateSync(join(folder, `${system.name}.log`))
  if (writes.has(workload)) await restore(sql)
  return {
    ...{ system: system.name, workload, connections, round },
    requestsPerSecond: requests / (durationUs / 1e6),
    ...{ p50Ms: p50Us / 1000, p95Ms: p95Us / 1000, p99Ms: p99Us / 1000, maxMs: maxUs / 1000 },
    refused: workload === '401' ? requests - refused : refused,
    broken: broken + timeouts,
    serverCpuSecondsPer1000: requests > 0 ? (server / requests) * 1000 : null,
    postgresCpuSecondsPer1000: requests > 0 ? (database / requests) * 1000 : null,
    rssMb,
  }
}

/** Measures the statement alone with pgbench, on as many connections as the pool of a system has. */
export const pgbench = async (
  { sql, size }: Pick<Target, 'sql' | 'size'>,
  { workload, connections, seconds, round }: Load,
  {
    folder,
    postgres,
    statements,
    poolMax,
  }: Pick<Surroundings, 'folder' | 'postgres'> & {
    statements: Record<string, Statement>
    poolMax: number
  },
): Promise<Cell> => {
  const statement = statements[statementOf[workload] ?? '']
  if (statement === undefined) throw new Error(`pgbench has no part in ${workload}`)
  const script = join(folder, 'pgbench.sql')
  const tasks = workload === 'read one' ? [11, size.tasksPerUser - 1] : [1, 10]
  await Bun.write(
    script,
    `\\set user random(1, ${size.users})\n\\set task random(${tasks.join(', ')})\n${scriptOf(statement)};\n`,
  )
  const before = cpuSecondsOf(postgres.pid)
  const out = await output([
    ...[postgres.pgbench, '-n', '-M', 'prepared', '-c', String(poolMax), '-j', '1'],
    ...['-T', String(seconds), '-f', script, '--random-seed', String(round), postgres.url],
  ])
  const number = (pattern: RegExp) => Number(pattern.exec(out)?.[1])
  const done = number(/actually processed: (\d+)/)
  const cpu = cpuSecondsOf(postgres.pid) - before
  if (writes.has(workload)) await restore(sql)
  return {
    ...{ system: 'pgbench', workload, connections, round },
    requestsPerSecond: number(/tps = ([\d.]+)/),
    ...{ p50Ms: number(/latency average = ([\d.]+)/), p95Ms: null, p99Ms: null, maxMs: null },
    refused: number(/failed transactions: (\d+)/),
    broken: 0,
    serverCpuSecondsPer1000: null,
    postgresCpuSecondsPer1000: (cpu / done) * 1000,
    rssMb: null,
  }
}
