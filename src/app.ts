import { Elysia } from 'elysia'
import { createJwt } from './auth/access-tokens/jwt.ts'
import { emailVerificationPage } from './auth/email-verification/page.ts'
import { createEmailVerification } from './auth/email-verification/verification.ts'
import { createGuardNeeds } from './auth/guard-needs.ts'
import { passwordResetPage } from './auth/password-reset/page.ts'
import { createPasswordReset } from './auth/password-reset/password-reset.ts'
import { createPasswordHasher, type PasswordHasher } from './auth/passwords/hasher.ts'
import { authRoutes } from './auth/routes.ts'
import type { SessionActivity } from './auth/sessions/activity.ts'
import { createSessionRepository } from './auth/sessions/repository.ts'
import type { Config } from './config/config.ts'
import type { Db } from './db/database.ts'
import type { Principal } from './db/user-scope.ts'
import { createLive } from './events/live.ts'
import { healthRoutes } from './health/routes.ts'
import { accessLog } from './http/access-log.ts'
import { createAuthenticated } from './http/authenticated.ts'
import { createBodyParser } from './http/body-parser.ts'
import { createErrorHandler } from './http/error-handler.ts'
import { homePage } from './http/pages/home.ts'
import { problemPages } from './http/pages/problems.ts'
import { swaggerUi } from './http/pages/swagger-ui.ts'
import { createRateLimit } from './http/rate-limit.ts'
import { createRequestContexts, type RequestContexts } from './http/request-context.ts'
import { createRouteGuard } from './http/route-guard.ts'
import { listRoutes } from './lists/routes.ts'
import type { Log } from './log.ts'
import { createLinkTokens } from './mail/link-tokens.ts'
import { createMailLinks } from './mail/links.ts'
import { createMail } from './mail/mail.ts'
import { createNoticeStatements, type NoticeStatements } from './mail/notices.ts'
import { pollAfterWrites } from './mail/poll-after-writes.ts'
import type { MailSender } from './mail/sender.ts'
import type { ProcessState } from './metrics/gauges.ts'
import type { CreateMetrics } from './metrics/load-metrics.ts'
import type { Notifications } from './notifications/notifications.ts'
import { publishAfterWrites } from './notifications/publish-after-writes.ts'
import type { RateLimitCounters } from './rate-limit/store.ts'
import type { Waiting } from './tasks/changes/long-poll.ts'
import { createReminderJob, type ReminderJob } from './tasks/reminders/job.ts'
import { createReminderRepository } from './tasks/reminders/repository.ts'
import { allTaskRoutes } from './tasks/routes.ts'
import { activityAfterRequests } from './webhooks/activity-after-requests.ts'
import type { Resolve } from './webhooks/destination.ts'
import type { WebhookDispatcher } from './webhooks/dispatcher.ts'
import { webhookMessages } from './webhooks/payloads.ts'
import { webhookRoutes } from './webhooks/routes.ts'
import { createWebhooks } from './webhooks/webhooks.ts'

/** What runs without a request. Without mail there is no sender. */
export type Jobs = {
  mailSender: MailSender | undefined
  webhookDispatcher: WebhookDispatcher
  reminderJob: ReminderJob
}

/** Everything that the service needs from its process. Two services can run in one process, as every test does. */
export type Needs = {
  config: Config
  db: Db
  rateLimitStore: RateLimitCounters
  log: Log
  /** The migrations are applied. Until then, every route that needs the database is 503. */
  isUp: () => boolean
  isReady: () => Promise<boolean>
  /** The address of the socket's peer. */
  peerOf: (request: Request) => string | undefined
  processState: ProcessState
  /** Tells all instances of changes. */
  notifications: Notifications
  /** For responses that wait or stream. */
  waiting: Waiting
  /** Receives each use of a session, for `last_seen_at`. */
  recordUse: SessionActivity['record']
  /** Receives what runs without a request, which the process starts and stops. */
  onJobs: (jobs: Jobs) => void
  /** Resolves the host names of webhooks; by DNS, unless given. */
  resolve?: Resolve
  createMetrics: CreateMetrics
}

/**
 * The service: the life cycle of a request from top to bottom. docs/architecture.md has the diagram.
 *
 * Elysia validates the request (422) between the rate limit and the handler. A handler sends one SQL statement,
 * which also checks the session (401).
 */
export const createApp = (needs: Needs) => {
  const { config, db, isReady, notifications } = needs
  const contexts = createRequestContexts()
  const passwords = createPasswordHasher(config.passwords)
  const routes = () => root.routes
  const parts = () => ({ ...live, ...hooks, notifications })
  const metricNeeds = { ...needs, contexts, passwordLoad: passwords.load, live: parts, routes }
  const metrics = needs.createMetrics(metricNeeds)
  const { log, rateLimitStore } = metrics
  const limit = createRateLimit({ settings: config.rateLimit, rateLimitStore, contexts, log })
  const jwt = createJwt(config.jwt)
  const notices = createNoticeStatements(db, config.mail !== undefined)
  const sessions = createSessionRepository(db)
  const isSessionLive = (principal: Principal) => sessions(principal).isLive()
  const authenticated = createAuthenticated(contexts, needs.recordUse)
  const { sender, ...linked } = createLinked(needs, { notices, passwords, contexts, log })
  const live = createLive({ ...needs, log })
  const hooks = createWebhooks({ ...needs, ...live, notices, log })
  const reminderJob = createReminders({ ...needs, sender, log })
  needs.onJobs({ mailSender: sender, webhookDispatcher: hooks.dispatcher, reminderJob })
  const guardNeeds = createGuardNeeds({ ...needs, ...live, jwt, log })
  const shared = {
    log,
    rateLimitStore,
    contexts,
    jwt,
    passwords,
    notices,
    authenticated,
    ...live,
    ...linked,
  }

  const root = new Elysia({
    // Unknown members are refused in requests, and are a bug in responses.
    normalize: false,
    strictPath: true,
    // Elysia searches the path from character 11 of the URL, which a short Host shifts.
    handler: { standardHostname: false },
  })

  return (
    root
      // Errors of every step below → problem+json. Registered first, so that it sees all of them.
      .use(createErrorHandler({ contexts, log, limit, isSessionLive }))
      // After the response: one log line, notifications, and messages that it stored.
      .use(accessLog(log, contexts))
      .use(publishAfterWrites(notifications, contexts))
      .use(activityAfterRequests(hooks.dispatcher, contexts))
      .use(sender ? pollAfterWrites(sender, contexts) : new Elysia())
      // Route (404, 405, OPTIONS) → declared body size (413) → token (401) → scope (403).
      .use(createRouteGuard({ ...guardNeeds, contexts, routes }))
      // Body and query (413, 415, 400).
      .use(createBodyParser(contexts))
      // Rate limit (429).
      .use(limit.counting)
      // Handlers.
      .use(metrics.routes)
      .use(healthRoutes({ isReady }))
      .use(homePage(config))
      .use(problemPages())
      .use(passwordResetPage(linked))
      .use(emailVerificationPage(linked))
      .use(swaggerUi({ routes, limits: config, messages: webhookMessages }))
      .group('/api', (api) =>
        api
          .use(authRoutes({ ...needs, ...shared, sessions }))
          .use(allTaskRoutes({ ...needs, ...shared }))
          .use(listRoutes({ ...needs, ...shared }))
          .use(webhookRoutes({ ...shared, ...hooks })),
      )
  )
}

type Linked = {
  notices: NoticeStatements
  passwords: PasswordHasher
  contexts: RequestContexts
  log: Log
}

/** What works by mailed links, and the sender of the messages; undefined without mail. */
const createLinked = ({ config, db, rateLimitStore }: Needs, shared: Linked) => {
  const links = { links: createMailLinks(db), tokens: createLinkTokens(config.jwt.secrets) }
  const needs = { ...shared, ...links, db, rateLimitStore }
  const sender =
    config.mail && createMail({ ...needs, config: { mail: config.mail, links: config.links } })
  return {
    sender,
    passwordReset: createPasswordReset(needs),
    emailVerification: createEmailVerification(needs),
  }
}

/** What delivers reminders. */
const createReminders = ({
  config,
  db,
  notifications,
  sender,
  log,
}: Pick<Needs, 'config' | 'db' | 'notifications' | 'log'> & { sender: MailSender | undefined }) => {
  const reminders = createReminderRepository(db, { hasMail: config.mail !== undefined })
  return createReminderJob({ reminders, notifications, onMail: () => sender?.pollSoon(), log })
}

/** For Eden: `treaty<App>(url)` is a client with the types of these routes. */
export type App = ReturnType<typeof createApp>
