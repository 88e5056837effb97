import { type Static, t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { FormBody, RouteValidated } from '../../schema/body.ts'
import { Email, Enum, Text } from '../../schema/types.ts'
import { AnyPassword, closed, Name, NewPassword, User } from '../accounts/schema.ts'

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

/** RFC 6749 §4.3.2, which says that other parameters are ignored. */
const PasswordGrant = FormBody(
  t.Object(
    {
      grant_type: t.Literal('password'),
      username: t.String({ description: 'The e-mail', examples: ['ada@example.com'] }),
      password: t.String({ examples: ['correct horse battery'] }),
    },
    { additionalProperties: true, $id: 'PasswordGrant' },
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
export const AccessToken = t.Object(tokenMembers, { ...closed, $id: 'AccessToken' })
const SignInResult = t.Object({ ...tokenMembers, user: User }, { ...closed, $id: 'SignInResult' })

export const register = {
  body: RouteValidated(Registration),
  response: {
    201: SignInResult,
    ...problemResponses(
      'registration-closed',
      'email-taken',
      'invalid-request',
      'weak-password',
      'too-many-attempts',
    ),
  },
  detail: { operationId: 'register', summary: 'Sign up' },
}

export const login = {
  body: Credentials,
  response: {
    200: SignInResult,
    ...problemResponses('invalid-credentials', 'invalid-request', 'too-many-attempts'),
  },
  detail: { operationId: 'login', summary: 'Sign in' },
}

export const createOAuthToken = {
  body: PasswordGrant,
  response: { 200: AccessToken, 400: GrantError, ...problemResponses('too-many-attempts') },
  detail: {
    operationId: 'createOAuthToken',
    summary: 'Sign in with the OAuth 2 password form',
    description: 'For OAuth 2 clients (RFC 6749 §4.3), such as the Authorize dialog.',
    'x-accepts': ['application/x-www-form-urlencoded'],
  },
}
