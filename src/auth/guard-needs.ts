import type { Config } from '../config/config.ts'
import type { Db } from '../db/database.ts'
import { createClientAddress } from '../http/client-address.ts'
import { createCors } from '../http/cors.ts'
import { createResponseHeaders } from '../http/response-headers.ts'
import type { Log } from '../log.ts'
import type { Jwt } from './access-tokens/jwt.ts'
import { createAuthenticator } from './authenticator.ts'
import type { CalendarSecrets } from './calendar-feeds/secret.ts'
import { createFederatedUserRepository } from './issuers/repository.ts'
import { createIssuerVerifiers } from './issuers/verifier.ts'
import type { StreamTickets } from './stream-tickets/ticket.ts'

type Needs = {
  config: Config
  db: Db
  jwt: Jwt
  streamTickets: StreamTickets
  calendarSecrets: CalendarSecrets
  log: Log
  isUp: () => boolean
  peerOf: (request: Request) => string | undefined
}

/** What the route guard needs to authenticate a request, and for the headers of its response. */
export const createGuardNeeds = (needs: Needs) => {
  const { config, db, jwt, streamTickets, calendarSecrets, log, isUp, peerOf } = needs
  const issuers = createIssuerVerifiers(config.trustedIssuers, log)
  const federatedUsers = createFederatedUserRepository(db)
  const clientAddress = createClientAddress(config.trustProxy)
  return {
    settings: config,
    authenticate: createAuthenticator({ jwt, issuers, federatedUsers, log, isUp }),
    verifyTicket: streamTickets.verify,
    verifyCalendarPath: calendarSecrets.verify,
    responseHeaders: createResponseHeaders({
      behindProxy: config.trustProxy !== 'none',
      cors: createCors(config.corsOrigins),
    }),
    clientAddressOf: (request: Request) => clientAddress(request, peerOf(request)),
    isUp,
  }
}
