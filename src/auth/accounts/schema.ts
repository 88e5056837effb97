import { type Static, t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { Email, Id, NoContent, Text, Timestamp } from '../../schema/types.ts'

export const closed = { additionalProperties: false }

export const Name = Text({ min: 1, max: 100, nullable: true, examples: ['Ada'] })
/** Accepts any text: a wrong password is 401 or 403, never a hint about the rules. */
export const AnyPassword = Text({ min: 1, max: 128, examples: ['correct horse battery'] })
export const NewPassword = Text({
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
      description: 'null if the user signs in through another identity provider',
      examples: ['ada@example.com'],
    }),
    name: Name,
    created_at: Timestamp({}),
  },
  { ...closed, $id: 'User' },
)
export type User = Static<typeof User>

const ProfileName = t.Object({ name: Name })
const ProfileEmail = t.Object({
  email: Email({ examples: ['ada@example.com'] }),
  current_password: AnyPassword,
})
/** Either `name`, or `email` with `current_password`. */
const ProfileChanges = t.Partial(t.Composite([ProfileName, ProfileEmail]), {
  ...closed,
  minProperties: 1,
  $id: 'ProfileChanges',
  examples: [{ name: 'Ada' }],
})

const PasswordChange = t.Object(
  { current_password: AnyPassword, new_password: NewPassword },
  { ...closed, $id: 'PasswordChange' },
)

const Confirmation = t.Object({ current_password: AnyPassword }, { ...closed, $id: 'Confirmation' })

export const readMe = {
  response: { 200: User },
  detail: { operationId: 'readMe', summary: 'Get the current user' },
}

export const changeMe = {
  body: ProfileChanges,
  response: {
    200: User,
    ...problemResponses('wrong-password', 'email-taken', 'invalid-request', 'too-many-attempts'),
  },
  detail: {
    operationId: 'changeMe',
    summary: 'Change name or e-mail',
    description: 'A change of the e-mail requires `current_password`.',
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

export const deleteMe = {
  body: Confirmation,
  response: {
    204: NoContent,
    ...problemResponses('wrong-password', 'invalid-request', 'too-many-attempts'),
  },
  detail: {
    operationId: 'deleteMe',
    summary: 'Erase the account, its sessions and its tasks',
  },
}
