import { Counter, type Registry } from 'prom-client'
import { createZeroedCounter } from './log-metrics.ts'

/** SQLSTATEs, drivers' and system's codes by what an operator would do about them. */
const kinds: [string, RegExp][] = [
  ['deadline', /^(deadline|57014|55P03)$/],
  ['queue', /^queue$/],
  ['connection', /^(08...|CONNECTION_\w+|CONNECT_TIMEOUT|E[A-Z_]+|ERR_\w+|closed)$/],
  ['restart', /^(57P..|25006)$/],
  ['resources', /^(53|58)...$/],
  ['conflict', /^40...$/],
]

/** Counts answers that were 503 because the database could not do its part, by what its code means. */
export const createDatabaseErrorMetrics = (registry: Registry) => {
  const faults = new Counter({
    name: 'taskwarden_database_unavailable_total',
    help: 'Requests that the database could not serve in time (503), by kind.',
    labelNames: ['kind'],
    registers: [registry],
  })
  const other = createZeroedCounter(faults, { kind: 'other' })
  const counts = kinds.map(([kind, codes]) => ({
    codes,
    count: createZeroedCounter(faults, { kind }),
  }))

  return (code: string): void => (counts.find(({ codes }) => codes.test(code))?.count ?? other)()
}
