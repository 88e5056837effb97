import type { MetricObjectWithValues, MetricValue } from 'prom-client'

/** The metrics of one process, with the value of each series. */
export type MetricsSnapshot = MetricObjectWithValues<MetricValue<string>>[]

/** The metrics of the workers that responded in time, and what their supervisor knows. */
export type FleetMetrics = { snapshots: MetricsSnapshot[]; running: number; restarts: number }

/** The processes that serve one port together. `GET /metrics` of each shows all, because a scrape reaches any. */
export type Fleet = {
  /** Which worker this process is, from 1 on: the label of its series. */
  worker: number
  /** Receives the function that reads the metrics of this process. */
  provide: (read: () => Promise<MetricsSnapshot>) => void
  collect: () => Promise<FleetMetrics>
}
