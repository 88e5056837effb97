import type { Totals } from './report.ts'
import type { PgBouncer, Postgres, Redis } from './servers.ts'

/** What the faults are tried on. */
export type Stage = {
  /** The full form: at least 20 of each kill, thresholds held, five minutes of load. */
  full: boolean
  minutes: number
  postgres: Postgres
  redis: Redis
  pgbouncer: PgBouncer
}

export type Fault = {
  name: string
  /** It mostly waits, and leaves the shared servers alone: the short form does all such at once. */
  waits?: true
  run(stage: Stage, tally: Totals): Promise<void>
}
