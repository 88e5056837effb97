import { Counter, type Registry } from 'prom-client'
import { createZeroedCounter } from './log-metrics.ts'

/** SQLSTATEs, driver codes and system codes, grouped by what an operator does about them. */
const kinds: [string, RegExp][] = [
  ['deadline', /^(deadline|57014|55P03)$/],
  ['queue', /^queue$/],
  ['connection', /^(08...|CONNECTION_\w+|CONNECT_TIMEOUT|E[A-Z_]+|ERR_\w+|closed)$/],
  ['restart', /^(57P..|25006)$/],
  ['resources', /^(53|58)...$/],
  ['conflict', /^40...$/],
]

/** Counts the responses that were 503 because of the database, by the kind of the error code. */
export const createDatabaseErrorMetrics = (registry: Registry) => {
  const counter = new Counter({
    name: 'taskwarden_database_unavailable_total',
    help: 'Requests that the database could not serve in time (503), by kind.',
    labelNames: ['kind'],
    registers: [registry],
  })
  const other = createZeroedCounter(counter, { kind: 'other' })
  const counts = kinds.map(([kind, codes]) => ({
    codes,
    count: createZeroedCounter(counter, { kind }),
  }))

  return (code: string): void => (counts.find(({ codes }) => codes.test(code))?.count ?? other)()
}
