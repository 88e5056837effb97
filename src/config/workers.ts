import { availableParallelism } from 'node:os'
import type { DatabaseConfig } from './database.ts'
import type { EnvReader } from './environment.ts'

const workersMax = 64

/**
 * How many processes serve requests. `auto`: one for each core that this process may use, and 1 where more are not
 * possible: with the embedded database, and where the kernel does not distribute the connections of a shared port.
 */
export const readWorkerCount = (
  read: EnvReader,
  database: DatabaseConfig,
  platform: NodeJS.Platform = process.platform,
): number => {
  const form = `a whole number from 1 to ${workersMax}, or auto`
  const text = read.matching('WORKERS', '1', /^(auto|[1-9]|[1-5]\d|6[0-4])$/, form)
  const isShared = database.kind === 'postgres' && platform === 'linux'
  if (text === 'auto') {
    const cores = Math.min(availableParallelism(), workersMax)
    return isShared ? Math.min(cores, database.poolMax) : 1
  }

  const count = Number(text)
  if (count === 1 || isShared) {
    if (database.kind === 'postgres' && count > database.poolMax)
      read.problem('WORKERS', 'is more than DB_POOL_MAX, and each worker needs a connection')
    return count
  }
  read.problem(
    'WORKERS',
    database.kind === 'embedded'
      ? 'needs PostgreSQL, because only one process can open the embedded database; unset it for 1'
      : 'needs Linux, which distributes the connections of a port among processes; unset it for 1',
  )
  return 1
}
