import { t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { NoBody, NoContent } from '../../schema/body.ts'
import { customType } from '../../schema/validators.ts'
import { closed } from '../accounts/schema.ts'
import { AccessToken, SessionQuery } from '../sign-in/schema.ts'

/** Accepts any text: a wrong token is 401, never a hint about its form. */
const RefreshToken = customType<string>('Text', {
  type: 'string',
  description: 'The refresh token, exactly as received',
  examples: ['twr_AQGZrEe6...'],
})

const RefreshRequest = t.Union([
  t.Undefined(),
  t.Object(
    { refresh_token: t.Optional(RefreshToken) },
    { ...closed, $id: 'RefreshRequest', description: 'Without it, the access token is refreshed' },
  ),
])

export const refresh = {
  query: SessionQuery,
  body: RefreshRequest,
  response: { 200: AccessToken, ...problemResponses('origin-not-allowed', 'invalid-request') },
  detail: {
    operationId: 'refresh',
    summary: 'Get a new token for this session',
    description:
      'By the refresh token, in the body or in the cookie, also after the access token has expired; the response has ' +
      'the next refresh token. The previous one stays valid until the next one was used, and for a minute after that, ' +
      'so that lost responses and several tabs do no harm. An older one ends the session, because it may be a stolen ' +
      'copy. Without a refresh token: by a valid access token.',
    'x-refresh-token': ['body', 'cookie'],
  },
} as const

export const logout = {
  body: NoBody,
  response: { 204: NoContent, ...problemResponses('origin-not-allowed') },
  detail: {
    operationId: 'logout',
    summary: 'End this session',
    description: 'Of the access token, or without one, of the refresh token in the cookie.',
    'x-rate-limit': 'revocation',
    'x-refresh-token': ['cookie'],
    'x-headers': ['Set-Cookie'],
  },
} as const
