import { Counter, type Registry } from 'prom-client'
import type { Log } from '../http/access-log.ts'

/**
 * A log that counts what it is told: signing in, and sessions that start and end, each
 * have an event there already. What nobody logs, because of LOG_LEVEL, counts as well.
 */
export const withLogMetrics = (log: Log, registry: Registry): Log => {
  const signIns = new Counter({
    name: 'taskwarden_sign_ins_total',
    help: 'Passwords checked at sign-in or as current_password, by outcome; what a limit turned away is not among them.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const started = new Counter({
    name: 'taskwarden_sessions_started_total',
    help: 'Sessions that started, by cause; personal: an access token was made.',
    labelNames: ['cause'],
    registers: [registry],
  })
  const endings = new Counter({
    name: 'taskwarden_session_endings_total',
    help: 'Acts that ended sessions, by cause; one act may end several.',
    labelNames: ['cause'],
    registers: [registry],
  })

  const signIn = (outcome: string) => createZeroedCounter(signIns, { outcome })
  const start = (cause: string) => createZeroedCounter(started, { cause })
  const end = (cause: string) => createZeroedCounter(endings, { cause })

  const counted = new Map([
    ['signed up', [start('sign-up')]],
    ['signed in', [start('sign-in'), signIn('succeeded')]],
    ['sign-in failed', [signIn('failed')]],
    ['wrong current password', [signIn('wrong-current-password')]],
    ['token made', [start('personal')]],
    ['signed out', [end('logout')]],
    ['session ended', [end('ended')]],
    ['token ended', [end('token-ended')]],
    ['all sessions ended', [end('all-ended')]],
    ['password changed', [end('password-change')]],
    ['account deleted', [end('deletion')]],
  ])

  const counting =
    (level: keyof Log): Log[keyof Log] =>
    (event, fields) => {
      for (const count of counted.get(event) ?? []) count()
      log[level](event, fields)
    }
  return {
    debug: counting('debug'),
    info: counting('info'),
    warn: counting('warn'),
    error: counting('error'),
  }
}

/** There from the start, so that a first increase is seen as one. */
export const createZeroedCounter = <Label extends string>(
  counter: Counter<Label>,
  labels: Record<Label, string>,
) => {
  const { inc } = counter.labels(labels)
  inc(0)
  return () => inc()
}
