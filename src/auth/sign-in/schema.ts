import { type Static, t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { FormBody, RouteValidated } from '../../schema/body.ts'
import { Email, Enum, Text } from '../../schema/types.ts'
import { Accepted, AnyPassword, closed, Name, NewPassword, User } from '../accounts/schema.ts'

export const Registration = t.Object(
  {
    email: Email({ examples: ['ada@example.com'] }),
    password: NewPassword,
    name: t.Optional({ ...Name, 'x-default': null }),
  },
  { ...closed, $id: 'Registration' },
)

export type Registration = Static<typeof Registration>

const Credentials = t.Object(
  { email: Text({ min: 0, max: 10_000, examples: ['ada@example.com'] }), password: AnyPassword },
  { ...closed, $id: 'Credentials' },
)

/** RFC 6749 §4.3.2 and §6, which say that other parameters are ignored. */
const TokenRequest = FormBody(
  t.Object(
    {
      grant_type: Enum(['password', 'refresh_token']),
      username: t.Optional(
        t.String({ description: 'The e-mail, for `password`', examples: ['ada@example.com'] }),
      ),
      password: t.Optional(
        t.String({ description: 'For `password`', examples: ['correct horse battery'] }),
      ),
      refresh_token: t.Optional(t.String({ description: 'For `refresh_token`' })),
    },
    {
      additionalProperties: true,
      $id: 'TokenRequest',
      examples: [
        {
          grant_type: 'password',
          username: 'ada@example.com',
          password: 'correct horse battery',
        },
      ],
    },
  ),
)

/** RFC 6749 §5.2. */
const GrantError = t.Object(
  {
    error: Enum(['invalid_request', 'invalid_grant', 'unsupported_grant_type']),
    error_description: t.String({ examples: ['grant_type is required, once'] }),
  },
  { ...closed, $id: 'GrantError', description: 'Why no token was issued (RFC 6749 §5.2)' },
)

export const tokenMembers = {
  access_token: t.String({
    description: 'A JWT, for `Authorization: Bearer …`',
    examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTk5In0.c2lnbmF0dXJl'],
  }),
  token_type: t.Literal('Bearer'),
  expires_in: t.Integer({ description: 'Seconds', examples: [86400] }),
}

const refresh_token = t.String({
  description:
    'For `POST /api/auth/refresh`. Absent with `?session=cookie`: then it is in the cookie',
  examples: ['twr_AQGZrEe6...'],
})
const refresh_expires_in = t.Integer({
  description: 'Seconds until the end of the session',
  examples: [2592000],
})
/** Absent if the session was refreshed by its access token. */
const refreshMembers = {
  refresh_token: t.Optional(refresh_token),
  refresh_expires_in: t.Optional(refresh_expires_in),
}

export const AccessToken = t.Object(
  { ...tokenMembers, ...refreshMembers },
  { ...closed, $id: 'AccessToken', 'x-headers': ['Set-Cookie'] },
)
const SignInResult = t.Object(
  { ...tokenMembers, refresh_token: t.Optional(refresh_token), refresh_expires_in, user: User },
  { ...closed, $id: 'SignInResult', 'x-headers': ['Set-Cookie'] },
)
const OAuthToken = t.Object(
  { ...tokenMembers, refresh_token, refresh_expires_in },
  { ...closed, $id: 'OAuthToken' },
)

export const SessionQuery = t.Object(
  {
    session: t.Optional(
      Enum(['cookie'], {
        description:
          'Send the refresh token in a cookie that scripts cannot read, for browser apps',
        examples: ['cookie'],
      }),
    ),
  },
  closed,
)

export const register = {
  query: SessionQuery,
  body: RouteValidated(Registration),
  response: {
    201: SignInResult,
    202: Accepted,
    ...problemResponses(
      'registration-closed',
      'email-taken',
      'invalid-request',
      'weak-password',
      'too-many-attempts',
    ),
  },
  detail: {
    operationId: 'register',
    summary: 'Sign up',
    description:
      'If the service requires verified e-mails, the response is 202 for every address, and a link is mailed to it.',
  },
}

export const login = {
  query: SessionQuery,
  body: Credentials,
  response: {
    200: SignInResult,
    ...problemResponses(
      'invalid-credentials',
      'email-unverified',
      'invalid-request',
      'too-many-attempts',
    ),
  },
  detail: { operationId: 'login', summary: 'Sign in' },
}

export const createOAuthToken = {
  body: TokenRequest,
  response: { 200: OAuthToken, 400: GrantError, ...problemResponses('too-many-attempts') },
  detail: {
    operationId: 'createOAuthToken',
    summary: 'Sign in, or refresh, with an OAuth 2 form',
    description:
      'For OAuth 2 clients (RFC 6749 §4.3 and §6), such as the Authorize dialog: `grant_type` is `password` with ' +
      '`username` and `password`, or `refresh_token` with `refresh_token`.',
    'x-accepts': ['application/x-www-form-urlencoded'],
  },
}
