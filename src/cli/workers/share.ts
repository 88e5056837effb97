import type { Config } from '../../config/config.ts'
import type { WorkerPlace } from './channel.ts'

/**
 * The settings of one worker. What limits an instance is divided, so that all workers together use as many
 * connections and cores as one process would; each worker has at least one core for passwords.
 */
export const shareOf = (config: Config, { worker, workers, port }: WorkerPlace): Config => {
  const part = (total: number) => Math.floor(total / workers) + Number(worker <= total % workers)
  const { database, passwords } = config
  return {
    ...config,
    port,
    database:
      database.kind === 'postgres' ? { ...database, poolMax: part(database.poolMax) } : database,
    passwords: {
      ...passwords,
      hashingMax: Math.max(1, part(passwords.hashingMax)),
      queueMax: Math.max(1, part(passwords.queueMax)),
    },
  }
}
