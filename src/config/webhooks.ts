import type { DatabaseConfig } from './database.ts'
import type { EnvReader } from './environment.ts'

const hostPattern = /^([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?$/

/** Where webhooks may lead, in addition to public addresses with https. */
export const readWebhookConfig = (read: EnvReader, database: DatabaseConfig) => {
  const allowedHosts = (read.text('WEBHOOK_ALLOWED_HOSTS') ?? '')
    .split(',')
    .map((host) => host.replace(/^ +| +$/g, '').toLowerCase())
    .filter((host) => host !== '')
  if (!allowedHosts.every((host) => hostPattern.test(host)))
    read.problem(
      'WEBHOOK_ALLOWED_HOSTS',
      'is not a list of hosts, each with or without a port: hooks.internal, 10.0.0.5:8080',
    )
  return {
    /** `host` or `host:port`, in lower case. */
    allowedHosts,
    /** For development: receivers on this machine, and http. */
    allowsLoopback: database.kind === 'embedded',
  }
}

export type WebhookConfig = { allowedHosts: readonly string[]; allowsLoopback: boolean }
