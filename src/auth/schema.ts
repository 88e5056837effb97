import { type Static, t } from 'elysia'
import { Email, Enum, FormBody, Id, Integer, Text, Timestamp } from '../schema/types.ts'
import { personalSecondsMax } from './access-tokens/jwt.ts'

const closed = { additionalProperties: false }

const Name = Text({ min: 1, max: 100, nullable: true, examples: ['Ada'] })
/** Any text: what is wrong is wrong, and says nothing about what would be right. */
const AnyPassword = Text({ min: 1, max: 128, examples: ['correct horse battery'] })
const NewPassword = Text({
  min: 1,
  max: 128,
  description: 'At least PASSWORD_MIN (8) characters, and not a commonly used password',
  examples: ['correct horse battery'],
})

export const User = t.Object(
  {
    id: Id(),
    email: Email({
      nullable: true,
      description: 'null where another identity provider signs the user in',
      examples: ['ada@example.com'],
    }),
    name: Name,
    created_at: Timestamp({}),
  },
  { ...closed, $id: 'User' },
)

export const Registration = t.Object(
  {
    email: Email({ examples: ['ada@example.com'] }),
    password: NewPassword,
    name: t.Optional(Name),
  },
  { ...closed, $id: 'Registration' },
)

export const Credentials = t.Object(
  { email: Text({ min: 0, max: 10_000, examples: ['ada@example.com'] }), password: AnyPassword },
  { ...closed, $id: 'Credentials' },
)

/** RFC 6749 §4.3.2. What else a client sends is ignored, as the RFC says. */
export const PasswordGrant = FormBody(
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
export const GrantError = t.Object(
  {
    error: Enum(['invalid_request', 'invalid_grant', 'unsupported_grant_type']),
    error_description: t.String({ examples: ['grant_type is required, once'] }),
  },
  { ...closed, $id: 'GrantError', description: 'Why there is no token (RFC 6749 §5.2)' },
)

const token = {
  access_token: t.String({
    description: 'A JWT, to be sent as `Authorization: Bearer …`',
    examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTk5In0.c2lnbmF0dXJl'],
  }),
  token_type: t.Literal('Bearer'),
  expires_in: t.Integer({ description: 'Seconds', examples: [86400] }),
}
export const AccessToken = t.Object(token, { ...closed, $id: 'AccessToken' })
export const SignedIn = t.Object({ ...token, user: User }, { ...closed, $id: 'SignedIn' })

const ProfileName = t.Object({ name: Name })
const ProfileEmail = t.Object({
  email: Email({ examples: ['ada@example.com'] }),
  current_password: AnyPassword,
})
/** Either `name`, or `email` with `current_password`. */
export const ProfileChanges = t.Partial(t.Composite([ProfileName, ProfileEmail]), {
  ...closed,
  minProperties: 1,
  $id: 'ProfileChanges',
  examples: [{ name: 'Ada' }],
})

export const PasswordChange = t.Object(
  { current_password: AnyPassword, new_password: NewPassword },
  { ...closed, $id: 'PasswordChange' },
)

export const Confirmation = t.Object(
  { current_password: AnyPassword },
  { ...closed, $id: 'Confirmation' },
)

const Session = t.Object(
  {
    id: Id(),
    kind: Enum(['sign-in', 'personal']),
    name: Name,
    scope: t.String({ description: 'Space-separated', examples: ['tasks:read tasks:write'] }),
    created_at: Timestamp({}),
    expires_at: Timestamp({}),
    last_seen_at: Timestamp({ description: 'Of the last sign-in or refresh' }),
    current: t.Boolean({ description: 'Whether this request was made with it' }),
  },
  { ...closed, $id: 'Session' },
)
export const Sessions = t.Object({ sessions: t.Array(Session) }, { ...closed, $id: 'Sessions' })
const tokenScopes = ['tasks:read', 'tasks:write'] as const
export const NewToken = t.Object(
  {
    name: Text({ min: 1, max: 100, examples: ['backup script'] }),
    scope: Enum(tokenScopes, {
      description: 'Who may write may read too',
      examples: ['tasks:read'],
    }),
    expires_in: t.Optional(
      Integer({
        minimum: 1,
        maximum: personalSecondsMax,
        description: 'Seconds, a year at most; 90 days where it is left out',
        examples: [7_776_000],
      }),
    ),
  },
  { ...closed, $id: 'NewToken' },
)
const personal = {
  id: Id(),
  name: Text({ min: 1, max: 100, examples: ['backup script'] }),
  scope: Enum(tokenScopes),
  expires_at: Timestamp({}),
}
export const PersonalToken = t.Object(personal, { ...closed, $id: 'PersonalToken' })
/** The token itself is told this once. */
export const IssuedToken = t.Object(
  { ...personal, access_token: token.access_token },
  { ...closed, $id: 'IssuedToken' },
)
export const PersonalTokens = t.Object(
  { tokens: t.Array(PersonalToken) },
  { ...closed, $id: 'PersonalTokens' },
)
export const TokenId = t.Object({ id: Id() })

export type NewToken = Static<typeof NewToken>
export type PersonalToken = Static<typeof PersonalToken>

export const SessionId = t.Object({ id: Id() })

export type User = Static<typeof User>
