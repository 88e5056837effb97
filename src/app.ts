import { Elysia } from 'elysia'
import { type AccessTokens, createAccessTokens } from './auth/access-tokens/jwt.ts'
import { createAccountRepository } from './auth/accounts/repository.ts'
import { accountRoutes } from './auth/accounts/routes.ts'
import { createAuthenticator } from './auth/authenticator.ts'
import { createFederatedUserRepository } from './auth/issuers/repository.ts'
import { createIssuerVerifiers } from './auth/issuers/verifier.ts'
import { createLoginThrottle } from './auth/login-throttle.ts'
import { createPasswordHasher, type PasswordHasher } from './auth/passwords/hasher.ts'
import { createPersonalTokenRepository } from './auth/personal-tokens/repository.ts'
import { tokenRoutes } from './auth/personal-tokens/routes.ts'
import { createSessionRepository } from './auth/sessions/repository.ts'
import { sessionRoutes } from './auth/sessions/routes.ts'
import { createSignInRepository } from './auth/sign-in/repository.ts'
import { signInRoutes } from './auth/sign-in/routes.ts'
import type { Config } from './config/config.ts'
import type { Db } from './db/client.ts'
import { healthRoutes } from './health/routes.ts'
import { accessLog, type Log } from './http/access-log.ts'
import { authenticated as createAuthenticated } from './http/authenticated.ts'
import { createBodyParser } from './http/body-parser.ts'
import { createClientAddress } from './http/client-address.ts'
import { createCors } from './http/cors.ts'
import { createCursorCodec } from './http/cursor-codec.ts'
import { createErrorHandler } from './http/error-handler.ts'
import { homePage } from './http/pages/home.ts'
import { problemPages } from './http/pages/problems.ts'
import { swaggerUi } from './http/pages/swagger-ui.ts'
import { createRateLimit } from './http/rate-limit.ts'
import { createRequestContexts, type RequestContexts } from './http/request-context.ts'
import { createRouteGuard } from './http/route-guard.ts'
import { createResponseHeaders } from './http/security-headers.ts'
import { lazy } from './lazy.ts'
import type { ProcessState } from './metrics/gauges.ts'
import type { CreateMetrics } from './metrics/load-metrics.ts'
import type { RateLimitCounters } from './rate-limit/store.ts'
import { createBatchRepository } from './tasks/batch/repository.ts'
import { bulkRoutes } from './tasks/bulk-routes.ts'
import { createChangesRepository } from './tasks/changes/repository.ts'
import { createListingRepository } from './tasks/listing/repository.ts'
import { listingRoutes } from './tasks/listing/routes.ts'
import { createTaskRepository } from './tasks/task/repository.ts'
import { taskRoutes } from './tasks/task/routes.ts'
import { createTransferRepository } from './tasks/transfer/repository.ts'
import { createTrashRepository } from './tasks/trash/repository.ts'
import { trashRoutes } from './tasks/trash/routes.ts'

export type Needs = {
  config: Config
  db: Db
  rateLimitStore: RateLimitCounters
  log: Log
  /** Whether the schema is there: before that, all that needs it is 503. */
  isUp: () => boolean
  isReady: () => Promise<boolean>
  /** The socket's peer, as the server knows it. */
  peerOf: (request: Request) => string | undefined
  processState: ProcessState
  createMetrics: CreateMetrics
}

/**
 * The whole service, in the order in which a request meets it: the door (is there
 * such a route, and who asks), the intake (body and query), the limit, the routes;
 * and whatever goes wrong on the way becomes a problem in one place.
 *
 * Nothing is read, opened or started here: `main.ts` and every test hand in what the
 * service needs, so that two services can live in one process.
 */
export const createApp = ({
  config,
  db,
  isUp,
  isReady,
  peerOf,
  createMetrics,
  ...needs
}: Needs) => {
  const contexts = createRequestContexts()
  const tokens = createAccessTokens(config.jwt)
  const passwords = createPasswordHasher(config.passwords)
  const { log, rateLimitStore, plugin } = createMetrics({
    ...needs,
    contexts,
    isReady,
    passwordLoad: passwords.load,
    routes: () => root.routes,
  })
  const federatedUsers = createFederatedUserRepository(db)
  const issuers = createIssuerVerifiers(config.trustedIssuers, log)
  const { authenticate } = createAuthenticator({ tokens, issuers, federatedUsers, log, isUp })
  const limit = createRateLimit({ settings: config.rateLimit, rateLimitStore, contexts, log })
  const clientAddressOf = createClientAddress(config.trustProxy)
  const root = new Elysia({
    // An unknown member is refused, never silently dropped; and in what we answer, it is a bug.
    normalize: false,
    strictPath: true,
    handler: { standardHostname: false },
  })

  return root
    .use(
      createErrorHandler({
        contexts,
        log,
        limit,
        isLive: (principal) => createAccountRepository(db, principal).isLive(),
      }),
    )
    .use(accessLog(log, contexts))
    .use(
      createRouteGuard({
        settings: config,
        contexts,
        authenticate,
        createResponseHeaders: createResponseHeaders({
          behindProxy: config.trustProxy !== 'none',
          cors: createCors(config.corsOrigins),
        }),
        clientAddressOf: (request) => clientAddressOf(request, peerOf(request)),
        isUp,
        routes: () => root.routes,
      }),
    )
    .use(createBodyParser(contexts))
    .use(limit.counting)
    .use(plugin)
    .use(healthRoutes({ isReady }))
    .use(homePage(config))
    .use(problemPages())
    .use(swaggerUi({ routes: () => root.routes }))
    .group('/api', (api) =>
      api
        .use(accounts({ config, db, rateLimitStore, log, contexts, tokens, passwords }))
        .use(tasks({ config, db, contexts })),
    )
}

/** Everything about tasks: one, lists of them, many at once. */
const tasks = ({
  config,
  db,
  contexts,
}: Pick<Needs, 'config' | 'db'> & { contexts: RequestContexts }) => {
  const authenticated = createAuthenticated(contexts)
  const cursorCodec = createCursorCodec(config.jwt.secrets)

  return new Elysia({ prefix: '/tasks' })
    .use(
      listingRoutes({
        listingRepository: lazy(() => createListingRepository(db)),
        cursorCodec,
        authenticated,
      }),
    )
    .use(
      bulkRoutes({
        batchRepository: lazy(() => createBatchRepository(db)),
        changesRepository: lazy(() => createChangesRepository(db)),
        transferRepository: lazy(() => createTransferRepository(db)),
        cursorCodec,
        authenticated,
        trashDays: config.trashDays,
        importRowsMax: config.importing.rowsMax,
      }),
    )
    .use(trashRoutes({ trashRepository: lazy(() => createTrashRepository(db)), authenticated }))
    .use(taskRoutes({ taskRepository: lazy(() => createTaskRepository(db)), authenticated }))
}

type AccountNeeds = Pick<Needs, 'config' | 'db' | 'rateLimitStore' | 'log'> & {
  contexts: RequestContexts
  tokens: AccessTokens
  passwords: PasswordHasher
}

/** Everything about who one is: signing in, the account, its sessions. */
const accounts = (needs: AccountNeeds) => {
  const { config, db, rateLimitStore, log, contexts, tokens, passwords } = needs
  const loginThrottle = createLoginThrottle(config.signIn, rateLimitStore, log)
  const authenticated = createAuthenticated(contexts)
  const { registration } = config
  const { ttlSeconds, sessionMaxDays } = config.jwt

  return new Elysia()
    .use(
      signInRoutes({
        registration,
        accounts: createSignInRepository(db, Math.min(ttlSeconds, sessionMaxDays * 86_400)),
        loginThrottle,
        passwords,
        tokens,
        contexts,
        log,
      }),
    )
    .use(
      accountRoutes({
        createAccountRepository: (principal) => createAccountRepository(db, principal),
        loginThrottle,
        passwords,
        authenticated,
        log,
      }),
    )
    .use(
      sessionRoutes({
        createSessionRepository: (principal) => createSessionRepository(db, principal),
        tokens,
        ttlSeconds,
        sessionMaxDays,
        authenticated,
        log,
      }),
    )
    .use(
      tokenRoutes({
        tokensOf: (principal) => createPersonalTokenRepository(db, principal),
        tokens,
        authenticated,
        log,
      }),
    )
}

/** For Eden: `treaty<App>(url)` is a client with these routes' types. */
export type App = ReturnType<typeof createApp>
