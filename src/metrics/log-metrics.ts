import { Counter, type Registry } from 'prom-client'
import type { Log, LogFields } from '../log.ts'

/**
 * A log that also counts sign-ins and the start and end of sessions: each has an event already. Events count
 * even if LOG_LEVEL hides them.
 */
export const withLogMetrics = (log: Log, registry: Registry): Log => {
  const signIns = new Counter({
    name: 'taskwarden_sign_ins_total',
    help: 'Passwords checked at sign-in or as current_password, by outcome; attempts refused by a limit are not counted.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const started = new Counter({
    name: 'taskwarden_sessions_started_total',
    help: 'Sessions that started, by cause; personal: a personal access token was created.',
    labelNames: ['cause'],
    registers: [registry],
  })
  const endings = new Counter({
    name: 'taskwarden_session_endings_total',
    help: 'Requests that ended sessions, by cause; one request may end several.',
    labelNames: ['cause'],
    registers: [registry],
  })

  const mails = new Counter({
    name: 'taskwarden_mail_total',
    help: 'Attempts to send a message, by outcome; failed ones are repeated, abandoned ones failed for a day.',
    labelNames: ['outcome'],
    registers: [registry],
  })

  const reminders = new Counter({
    name: 'taskwarden_reminders_total',
    help: 'Reminders of tasks that were delivered.',
    registers: [registry],
  })

  const mail = (outcome: string) => createZeroedCounter(mails, { outcome })
  const signIn = (outcome: string) => createZeroedCounter(signIns, { outcome })
  const start = (cause: string) => createZeroedCounter(started, { cause })
  const end = (cause: string) => createZeroedCounter(endings, { cause })

  const counted = new Map<string, ((fields: LogFields | undefined) => void)[]>([
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
    ['mail sent', [mail('sent')]],
    ['mail failed', [mail('failed')]],
    ['mail abandoned', [mail('abandoned')]],
    ['reminders delivered', [(fields) => reminders.inc(Number(fields?.count))]],
    ['password reset', [end('password-reset')]],
    ['refresh token reused', [end('refresh-token-reuse')]],
    ['account deleted', [end('deletion')]],
  ])

  const counting =
    (level: keyof Log): Log[keyof Log] =>
    (event, fields) => {
      for (const count of counted.get(event) ?? []) count(fields)
      log[level](event, fields)
    }
  return {
    debug: counting('debug'),
    info: counting('info'),
    warn: counting('warn'),
    error: counting('error'),
  }
}

/** A counter that starts at 0 instead of being absent, so that Prometheus sees its first increase. */
export const createZeroedCounter = <Label extends string>(
  counter: Counter<Label>,
  labels: Record<Label, string>,
) => {
  const { inc } = counter.labels(labels)
  inc(0)
  return () => inc()
}
