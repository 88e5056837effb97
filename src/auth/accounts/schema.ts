import { type Static, t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { NoContent } from '../../schema/body.ts'
import { Email, Id, Text, Timestamp, TimeZone } from '../../schema/types.ts'

export const closed = { additionalProperties: false }

/** The body of a 202. */
export const Accepted = t.Object(
  {},
  { ...closed, $id: 'Accepted', description: 'The same for every address' },
)

export const Name = Text({ min: 1, max: 100, nullable: true, examples: ['Ada'] })
/** Accepts any text: a wrong password is 401 or 403, never a hint about the rules. */
export const AnyPassword = Text({ min: 1, max: 128, examples: ['correct horse battery'] })
export const NewPassword = Text({
  min: 1,
  max: 128,
  description: 'Not easy to guess',
  examples: ['correct horse battery'],
})

const ZoneOfDays = TimeZone({
  description: 'The days of the user begin at midnight in this IANA time zone',
  examples: ['Europe/Berlin'],
})

const RemindersByMail = t.Boolean({
  description: 'Whether reminders of tasks are mailed too, if the service sends mail',
  examples: [false],
})

export const User = t.Object(
  {
    id: Id(),
    email: Text({
      min: 0,
      max: 254,
      nullable: true,
      format: 'email',
      description: 'null if the user signs in through another identity provider',
      examples: ['ada@example.com'],
    }),
    name: Name,
    created_at: Timestamp({}),
    email_verified: t.Boolean({ description: 'Whether a mailed link proved the address' }),
    pending_email: Text({
      min: 0,
      max: 254,
      nullable: true,
      format: 'email',
      description: 'The next e-mail, until the link that was mailed to it is used',
      examples: [null],
    }),
    time_zone: ZoneOfDays,
    reminders_by_mail: RemindersByMail,
  },
  { ...closed, $id: 'User' },
)
export type User = Static<typeof User>

const Profile = t.Object({
  name: Name,
  time_zone: ZoneOfDays,
  reminders_by_mail: RemindersByMail,
})
const ProfileEmail = t.Object({
  email: Email({ examples: ['ada@example.com'] }),
  current_password: AnyPassword,
})
/** The members of the profile; `email` requires `current_password`. */
const UserPatch = t.Partial(t.Composite([Profile, ProfileEmail]), {
  ...closed,
  $id: 'UserPatch',
  examples: [{ name: 'Ada', time_zone: 'Europe/Berlin' }],
})

const PasswordChange = t.Object(
  { current_password: AnyPassword, new_password: NewPassword },
  { ...closed, $id: 'PasswordChange' },
)

const Confirmation = t.Object({ current_password: AnyPassword }, { ...closed, $id: 'Confirmation' })

export const getCurrentUser = {
  response: { 200: User },
  detail: { operationId: 'getCurrentUser', summary: 'Get the current user' },
}

export const updateCurrentUser = {
  body: UserPatch,
  response: {
    200: User,
    ...problemResponses('wrong-password', 'email-taken', 'invalid-request', 'too-many-attempts'),
  },
  detail: {
    operationId: 'updateCurrentUser',
    summary: 'Change the profile or the e-mail',
    description:
      'A change of the e-mail requires `current_password`. If the service sends mail, the account keeps its `email`, and ' +
      '`pending_email` replaces it when the link that is mailed to it is used.',
  },
}

export const changePassword = {
  body: PasswordChange,
  response: {
    204: NoContent,
    ...problemResponses('wrong-password', 'weak-password', 'too-many-attempts'),
  },
  detail: {
    operationId: 'changePassword',
    summary: 'Change the password',
    description: 'All other sessions and all personal access tokens end.',
    'x-rate-limit': 'revocation',
  },
} as const

export const deleteCurrentUser = {
  body: Confirmation,
  response: {
    204: NoContent,
    ...problemResponses('wrong-password', 'invalid-request', 'too-many-attempts'),
  },
  detail: {
    operationId: 'deleteCurrentUser',
    summary: 'Erase the account, its sessions and its tasks',
  },
}
