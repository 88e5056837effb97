import type { Totals } from './report.ts'
import type { PgBouncer, Postgres, Redis } from './servers.ts'

/** What the faults run on. */
export type Stage = {
  /** The full form: at least 20 rounds of each kill, with thresholds, and five minutes of load. */
  full: boolean
  minutes: number
  postgres: Postgres
  redis: Redis
  pgbouncer: PgBouncer
}

export type Fault = {
  name: string
  /** It mostly waits and does not use the shared servers: in the short form, all such faults run at once. */
  waits?: true
  run(stage: Stage, totals: Totals): Promise<void>
}
