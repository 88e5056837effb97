import { t } from 'elysia'
import { problemResponses } from '../../http/problem.ts'
import { NoBody, NoContent } from '../../schema/body.ts'
import { Accepted, closed } from '../accounts/schema.ts'
import { LinkToken } from '../password-reset/schema.ts'

const EmailVerification = t.Object({ token: LinkToken }, { ...closed, $id: 'EmailVerification' })

export const verifyEmail = {
  body: EmailVerification,
  response: {
    204: NoContent,
    ...problemResponses('invalid-request', 'link-expired'),
  },
  detail: {
    operationId: 'verifyEmail',
    summary: 'Confirm an e-mail with a link',
    description: 'Of a sign-up, or of a change of the e-mail, which it completes.',
    security: [],
  },
}

export const sendVerification = {
  body: NoBody,
  response: { 202: Accepted, ...problemResponses('mail-disabled') },
  detail: {
    operationId: 'sendVerification',
    summary: 'Send the link for the e-mail again',
    description:
      'To the next e-mail if a change is pending, otherwise to the e-mail if it is not verified. An address gets at ' +
      'most five links per hour.',
  },
} as const
