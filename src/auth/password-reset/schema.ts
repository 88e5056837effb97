import { t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { NoContent } from '../../schema/body.ts'
import { Text } from '../../schema/types.ts'
import { customType } from '../../schema/validators.ts'
import { Accepted, closed, NewPassword } from '../accounts/schema.ts'

const PasswordForgotten = t.Object(
  { email: Text({ min: 0, max: 320, examples: ['ada@example.com'] }) },
  { ...closed, $id: 'PasswordForgotten' },
)

/** Accepts any text: a wrong token is `link-expired`, never a hint about its form. */
export const LinkToken = customType<string>('Text', {
  type: 'string',
  description: 'The token of the link, or the code in the message',
  examples: ['AZniu29KfDGdXoobLD1OX3Yb1nJmS0m9sQ2p8gqvWb0Xr6y1cVd3hUe5kTf7jLiC'],
})
const PasswordReset = t.Object(
  { token: LinkToken, new_password: NewPassword },
  { ...closed, $id: 'PasswordReset' },
)

export const forgotPassword = {
  body: PasswordForgotten,
  response: {
    202: Accepted,
    ...problemResponses('invalid-request', 'too-many-attempts', 'mail-disabled'),
  },
  detail: {
    operationId: 'forgotPassword',
    summary: 'Request a link to reset a forgotten password',
    description:
      'The response is the same whether the address has an account or not. An address gets at most five links per hour.',
  },
}

export const resetPassword = {
  body: PasswordReset,
  response: {
    204: NoContent,
    ...problemResponses('invalid-request', 'weak-password', 'link-expired'),
  },
  detail: {
    operationId: 'resetPassword',
    summary: 'Set a new password with a link',
    description:
      'Ends all sessions and personal access tokens. A refused password does not use up the link.',
  },
}
