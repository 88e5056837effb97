import { t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { NoBody, NoContent } from '../../schema/body.ts'
import { Enum, Id, Text, Timestamp } from '../../schema/types.ts'
import { closed, Name } from '../accounts/schema.ts'

const Session = t.Object(
  {
    id: Id(),
    kind: Enum(['sign-in', 'personal']),
    name: Name,
    scope: t.String({ description: 'Space-separated', examples: ['tasks:read tasks:write'] }),
    user_agent: Text({
      min: 0,
      max: 200,
      nullable: true,
      description: 'The `User-Agent` of the sign-in, truncated',
      examples: ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
    }),
    created_at: Timestamp({}),
    expires_at: Timestamp({
      description:
        'Until then, access tokens of the session may be valid. A refresh moves it, at most to SESSION_MAX_DAYS ' +
        'after `created_at`, which is the end of the refresh token.',
    }),
    last_seen_at: Timestamp({ description: 'The last use, accurate to two minutes' }),
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
