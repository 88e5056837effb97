import { t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { NoBody, NoContent } from '../../schema/body.ts'
import { Enum, Id, Timestamp } from '../../schema/types.ts'
import { closed, Name } from '../accounts/schema.ts'
import { AccessToken } from '../sign-in/schema.ts'

const Session = t.Object(
  {
    id: Id(),
    kind: Enum(['sign-in', 'personal']),
    name: Name,
    scope: t.String({ description: 'Space-separated', examples: ['tasks:read tasks:write'] }),
    created_at: Timestamp({}),
    expires_at: Timestamp({}),
    last_seen_at: Timestamp({ description: 'The time of the last sign-in or refresh' }),
    current: t.Boolean({ description: 'Whether this request uses the session' }),
  },
  { ...closed, $id: 'Session' },
)
const Sessions = t.Object({ sessions: t.Array(Session) }, { ...closed, $id: 'SessionList' })
const SessionId = t.Object({ id: Id() })

export const listSessions = {
  response: { 200: Sessions },
  detail: { operationId: 'listSessions', summary: 'List the sessions of the user' },
}

export const endAllSessions = {
  body: NoBody,
  response: { 204: NoContent },
  detail: {
    operationId: 'endAllSessions',
    summary: 'End all sessions, including this one',
    'x-rate-limit': 'revocation',
  },
} as const

export const endSession = {
  params: SessionId,
  body: NoBody,
  response: { 204: NoContent, ...problemResponses('session-not-found') },
  detail: {
    operationId: 'endSession',
    summary: 'End one session',
    'x-rate-limit': 'revocation',
  },
} as const

export const logout = {
  body: NoBody,
  response: { 204: NoContent },
  detail: { operationId: 'logout', summary: 'End this session', 'x-rate-limit': 'revocation' },
} as const

export const refresh = {
  body: NoBody,
  response: { 200: AccessToken },
  detail: {
    operationId: 'refresh',
    summary: 'Get a new token for this session',
    description: 'Only until the end of the session.',
  },
}
