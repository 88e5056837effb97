import type { Cell } from './load.ts'

/** A median, with minimum and maximum. */
type Spread = { median: number; least: number; greatest: number }

const spreadOf = (values: number[]): Spread | null => {
  const sorted = values.toSorted((a, b) => a - b)
  const [least] = sorted
  const greatest = sorted.at(-1)
  if (least === undefined || greatest === undefined) return null
  const middle = (sorted.length - 1) / 2
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2
  return { median, least, greatest }
}

export type Row = {
  workload: string
  connections: number
  system: string
  requestsPerSecond: Spread | null
  p50Ms: number | null
  p95Ms: number | null
  p99Ms: number | null
  errors: number
  serverCpuSecondsPer1000: number | null
  postgresCpuSecondsPer1000: number | null
  rssMb: number | null
  /** The ratio of taskwarden's requests per second to another system's, round by round. */
  ratio: Spread | null
}

const known = (values: (number | null)[]) => values.filter((value) => value !== null)
const medianOf = (values: (number | null)[]) => spreadOf(known(values))?.median ?? null

/** One row per workload, number of connections and system. */
export const summaryOf = (cells: Cell[], model = 'taskwarden'): Row[] => {
  const groups = Map.groupBy(cells, (cell) => `${cell.workload} ${cell.connections} ${cell.system}`)
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const { workload, connections, system } = first
    const ratios = group.flatMap((cell) => {
      const ours = cells.find(
        (one) =>
          one.system === model &&
          one.workload === workload &&
          one.connections === connections &&
          one.round === cell.round,
      )
      return ours && cell.requestsPerSecond > 0
        ? [ours.requestsPerSecond / cell.requestsPerSecond]
        : []
    })
    return {
      ...{ workload, connections, system },
      requestsPerSecond: spreadOf(group.map((cell) => cell.requestsPerSecond)),
      p50Ms: medianOf(group.map((cell) => cell.p50Ms)),
      p95Ms: medianOf(group.map((cell) => cell.p95Ms)),
      p99Ms: medianOf(group.map((cell) => cell.p99Ms)),
      errors: group.reduce((sum, { refused, broken }) => sum + refused + broken, 0),
      serverCpuSecondsPer1000: medianOf(group.map((cell) => cell.serverCpuSecondsPer1000)),
      postgresCpuSecondsPer1000: medianOf(group.map((cell) => cell.postgresCpuSecondsPer1000)),
      rssMb: medianOf(group.map((cell) => cell.rssMb)),
      ratio: spreadOf(ratios),
    }
  })
}

const shown = (value: number | null | undefined, digits: number) =>
  value === null || value === undefined ? '' : value.toFixed(digits)

/** The tables of `docs/performance.md`. */
export const tablesOf = (rows: Row[]): string =>
  [...Map.groupBy(rows, (row) => `${row.workload}, ${row.connections} connections`)]
    .map(([title, group]) =>
      [
        `**${title}**`,
        '',
        '| system | requests/s (min–max) | p50 ms | p95 ms | p99 ms | errors | CPU s/1 000: server | PostgreSQL | RSS MB | taskwarden ÷ system |',
        '|---|---|---|---|---|---|---|---|---|---|',
        ...group.map(lineOf),
      ].join('\n'),
    )
    .join('\n\n')

const lineOf = (row: Row): string => {
  const { requestsPerSecond: rate, ratio } = row
  const cells = [
    row.system,
    `${shown(rate?.median, 0)} (${shown(rate?.least, 0)}–${shown(rate?.greatest, 0)})`,
    shown(row.p50Ms, 1),
    shown(row.p95Ms, 1),
    shown(row.p99Ms, 1),
    String(row.errors),
    shown(row.serverCpuSecondsPer1000, 3),
    shown(row.postgresCpuSecondsPer1000, 3),
    shown(row.rssMb, 0),
    row.system === 'taskwarden'
      ? ''
      : `${shown(ratio?.median, 2)} (${shown(ratio?.least, 2)}–${shown(ratio?.greatest, 2)})`,
  ]
  return `| ${cells.join(' | ')} |`
}
