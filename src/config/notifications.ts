import type { DatabaseConfig } from './database.ts'
import type { EnvReader } from './environment.ts'

/** How instances tell each other of changes. `none`: there is one instance only. */
export type NotificationConfig =
  | { kind: 'none' }
  | { kind: 'redis'; url: string }
  | { kind: 'postgres'; listenUrl: string }

/** Redis if there is one, because it is the cheaper of the two. `rate-limit-store.ts` checks its URL. */
export const readNotificationConfig = (
  read: EnvReader,
  database: DatabaseConfig,
): NotificationConfig => {
  if (database.kind === 'embedded') return { kind: 'none' }
  const url = read.text('REDIS_URL')
  return url === undefined
    ? { kind: 'postgres', listenUrl: database.migrationUrl }
    : { kind: 'redis', url }
}
