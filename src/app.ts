import { Elysia } from 'elysia'
import { atFirstUse } from './at-first-use.ts'
import { accountOf } from './auth/account-repository.ts'
import { accountRoutes } from './auth/account-routes.ts'
import { attemptsOf } from './auth/attempts.ts'
import { callersOf } from './auth/callers.ts'
import { signedIn as signedInOf } from './auth/guard.ts'
import { identityRepository } from './auth/identity-repository.ts'
import { type Passwords, passwordsOf } from './auth/passwords.ts'
import { sessionsOf } from './auth/session-repository.ts'
import { sessionRoutes } from './auth/session-routes.ts'
import { accountsOf } from './auth/sign-in-repository.ts'
import { signInRoutes } from './auth/sign-in-routes.ts'
import { tokenRepository } from './auth/token-repository.ts'
import { tokenRoutes } from './auth/token-routes.ts'
import { type Tokens, tokensOf } from './auth/tokens.ts'
import { trustedIssuers } from './auth/trusted-issuers.ts'
import type { Config } from './config.ts'
import type { Counters } from './counters/counters.ts'
import type { Db } from './db/client.ts'
import { healthRoutes } from './health/routes.ts'
import { clientAddress } from './http/client-address.ts'
import { cors } from './http/cors.ts'
import { docs } from './http/docs.ts'
import { door } from './http/door.ts'
import { headersOf } from './http/headers.ts'
import { intake } from './http/intake.ts'
import { landing } from './http/landing.ts'
import { type Log, requestLog } from './http/log.ts'
import { problemPages } from './http/problem-pages.ts'
import { problems } from './http/problems.ts'
import { rateLimit } from './http/rate-limit.ts'
import { type Visits, visitsOf } from './http/visits.ts'
import type { Instruments } from './metrics/instruments.ts'
import type { Vitals } from './metrics/state.ts'
import { batchRepository } from './tasks/batch-repository.ts'
import { bulkRoutes } from './tasks/bulk-routes.ts'
import { changesRepository } from './tasks/changes-repository.ts'
import { listingRepository } from './tasks/listing-repository.ts'
import { listingRoutes } from './tasks/listing-routes.ts'
import { taskRepository } from './tasks/repository.ts'
import { taskRoutes } from './tasks/routes.ts'
import { sealsOf } from './tasks/seals.ts'
import { transferRepository } from './tasks/transfer-repository.ts'
import { trashRepository } from './tasks/trash-repository.ts'
import { trashRoutes } from './tasks/trash-routes.ts'

export type Needs = {
  config: Config
  db: Db
  counters: Counters
  log: Log
  /** Whether the schema is there: before that, all that needs it is 503. */
  isUp: () => boolean
  isReady: () => Promise<boolean>
  /** The socket's peer, as the server knows it. */
  peerOf: (request: Request) => string | undefined
  vitals: Vitals
  instruments: Instruments
}

/**
 * The whole service, in the order in which a request meets it: the door (is there
 * such a route, and who asks), the intake (body and query), the limit, the routes;
 * and whatever goes wrong on the way becomes a problem in one place.
 *
 * Nothing is read, opened or started here: `main.ts` and every test hand in what the
 * service needs, so that two services can live in one process.
 */
export const createApp = ({ config, db, isUp, isReady, peerOf, instruments, ...needs }: Needs) => {
  const visits = visitsOf()
  const tokens = tokensOf(config.jwt)
  const passwords = passwordsOf(config.passwords)
  const { log, counters, plugin } = instruments({
    ...needs,
    visits,
    isReady,
    passwordLoad: passwords.load,
    routes: () => root.routes,
  })
  const identities = identityRepository(db)
  const issuers = trustedIssuers(config.trustedIssuers, log)
  const { identify } = callersOf({ tokens, issuers, identities, log, isUp })
  const limit = rateLimit({ settings: config.rateLimit, counters, visits, log })
  const addressOf = clientAddress(config.trustProxy)
  const root = new Elysia({
    // An unknown member is refused, never silently dropped; and in what we answer, it is a bug.
    normalize: false,
    strictPath: true,
    handler: { standardHostname: false },
  })

  return root
    .use(problems({ visits, log, limit, isLive: (caller) => accountOf(db, caller).isLive() }))
    .use(requestLog(log, visits))
    .use(
      door({
        settings: config,
        visits,
        identify,
        headersOf: headersOf({
          behindProxy: config.trustProxy !== 'none',
          cors: cors(config.corsOrigins),
        }),
        addressOf: (request) => addressOf(request, peerOf(request)),
        isUp,
        routes: () => root.routes,
      }),
    )
    .use(intake(visits))
    .use(limit.counting)
    .use(plugin)
    .use(healthRoutes({ isReady }))
    .use(landing(config))
    .use(problemPages())
    .use(docs({ routes: () => root.routes }))
    .group('/api', (api) =>
      api
        .use(accounts({ config, db, counters, log, visits, tokens, passwords }))
        .use(tasks({ config, db, visits })),
    )
}

/** Everything about tasks: one, lists of them, many at once. */
const tasks = ({ config, db, visits }: Pick<Needs, 'config' | 'db'> & { visits: Visits }) => {
  const signedIn = signedInOf(visits)
  const seals = sealsOf(config.jwt.secrets)

  return new Elysia({ prefix: '/tasks' })
    .use(listingRoutes({ listsOf: atFirstUse(() => listingRepository(db)), seals, signedIn }))
    .use(
      bulkRoutes({
        batchOf: atFirstUse(() => batchRepository(db)),
        changesOf: atFirstUse(() => changesRepository(db)),
        transfersOf: atFirstUse(() => transferRepository(db)),
        seals,
        signedIn,
        trashDays: config.trashDays,
        importRowsMax: config.importing.rowsMax,
      }),
    )
    .use(trashRoutes({ trashOf: atFirstUse(() => trashRepository(db)), signedIn }))
    .use(taskRoutes({ tasksOf: atFirstUse(() => taskRepository(db)), signedIn }))
}

type AccountNeeds = Pick<Needs, 'config' | 'db' | 'counters' | 'log'> & {
  visits: Visits
  tokens: Tokens
  passwords: Passwords
}

/** Everything about who one is: signing in, the account, its sessions. */
const accounts = (needs: AccountNeeds) => {
  const { config, db, counters, log, visits, tokens, passwords } = needs
  const attempts = attemptsOf(config.signIn, counters, log)
  const signedIn = signedInOf(visits)
  const { registration } = config
  const { ttlSeconds, sessionMaxDays } = config.jwt

  return new Elysia()
    .use(
      signInRoutes({
        registration,
        accounts: accountsOf(db, Math.min(ttlSeconds, sessionMaxDays * 86_400)),
        attempts,
        passwords,
        tokens,
        visits,
        log,
      }),
    )
    .use(
      accountRoutes({
        accountOf: (caller) => accountOf(db, caller),
        attempts,
        passwords,
        signedIn,
        log,
      }),
    )
    .use(
      sessionRoutes({
        sessionsOf: (caller) => sessionsOf(db, caller),
        tokens,
        ttlSeconds,
        sessionMaxDays,
        signedIn,
        log,
      }),
    )
    .use(tokenRoutes({ tokensOf: (caller) => tokenRepository(db, caller), tokens, signedIn, log }))
}

/** For Eden: `treaty<App>(url)` is a client with these routes' types. */
export type App = ReturnType<typeof createApp>
