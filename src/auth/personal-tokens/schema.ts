import { type Static, t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { NoBody, NoContent } from '../../schema/body.ts'
import { Enum, Id, Integer, Text, Timestamp } from '../../schema/types.ts'
import { personalSecondsMax } from '../access-tokens/jwt.ts'
import { closed } from '../accounts/schema.ts'
import { calendarScope } from '../calendar-feeds/secret.ts'
import { tokenMembers } from '../sign-in/schema.ts'

const Scope = Enum(['tasks:read', 'tasks:write', 'webhooks:write', calendarScope], {
  $id: 'Scope',
  description:
    '`tasks:write` and `webhooks:write` include `tasks:read`; `calendar:read` is a feed for calendar programs',
  examples: ['tasks:read'],
})
const TokenName = Text({ min: 1, max: 100, examples: ['backup script'] })

const NewPersonalToken = t.Object(
  {
    name: TokenName,
    scope: Scope,
    expires_in: t.Optional(
      Integer({
        minimum: 1,
        maximum: personalSecondsMax,
        description: 'Seconds, at most a year',
        examples: [7_776_000],
        'x-default': 7_776_000,
      }),
    ),
  },
  { ...closed, $id: 'NewPersonalToken' },
)
const personalToken = {
  id: Id(),
  name: TokenName,
  scope: Scope,
  created_at: Timestamp({}),
  expires_at: Timestamp({}),
  last_seen_at: Timestamp({
    description: 'The last use, accurate to two minutes; at first the time of creation',
  }),
}
const PersonalToken = t.Object(personalToken, { ...closed, $id: 'PersonalToken' })
/** The only response that contains the token itself, or the URL that stands for it. */
const IssuedPersonalToken = t.Object(
  { ...personalToken, access_token: tokenMembers.access_token },
  { ...closed, $id: 'IssuedPersonalToken' },
)
const IssuedCalendarFeed = t.Object(
  {
    ...personalToken,
    feed_url: t.String({
      description: 'Subscribe to it in a calendar program. Whoever knows it can read the tasks',
      examples: ['https://tasks.example.com/api/calendar/AbGe0f7uJqTn1dS3yQx8Rk5wLm2cVz9h.ics'],
    }),
  },
  { ...closed, $id: 'IssuedCalendarFeed' },
)
const PersonalTokenList = t.Object(
  { tokens: t.Array(PersonalToken) },
  { ...closed, $id: 'PersonalTokenList' },
)
const TokenId = t.Object({ id: Id() })

export type NewPersonalToken = Static<typeof NewPersonalToken>
export type PersonalToken = Static<typeof PersonalToken>

export const createPersonalToken = {
  body: NewPersonalToken,
  response: {
    201: t.Union([IssuedPersonalToken, IssuedCalendarFeed]),
    ...problemResponses('invalid-request'),
  },
  detail: {
    operationId: 'createPersonalToken',
    summary: 'Create a personal access token',
    description:
      'For scripts. The token can use the task routes within its scope, and read the current user. Only this ' +
      'response contains it. With the scope `calendar:read`, there is a `feed_url` instead of the token. A password change and ending all sessions end it too.',
  },
}

export const listPersonalTokens = {
  response: { 200: PersonalTokenList },
  detail: { operationId: 'listPersonalTokens', summary: 'List the personal access tokens' },
}

export const revokePersonalToken = {
  params: TokenId,
  body: NoBody,
  response: { 204: NoContent, ...problemResponses('token-not-found') },
  detail: {
    operationId: 'revokePersonalToken',
    summary: 'End one personal access token',
    'x-rate-limit': 'revocation',
  },
} as const
