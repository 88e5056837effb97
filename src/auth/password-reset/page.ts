import { Elysia } from 'elysia'
import { type Page, renderPage } from '../../http/pages/html.ts'
import { ProblemError, throwInvalidRequest } from '../../http/problem.ts'
import { problemCatalogue } from '../../http/problem-catalogue.ts'
import { FormBody } from '../../schema/body.ts'
import { explainMismatch } from '../../schema/validators.ts'
import { NewPassword } from '../accounts/schema.ts'
import { codeField, fillToken } from '../link-page.ts'
import type { PasswordReset } from './password-reset.ts'

type Needs = { passwordReset: PasswordReset }

const detail = { hide: true, tags: ['Service'], security: [] }

/**
 * The page of a reset link. It works without scripts: the token is in the fragment of the URL, which is not sent, and
 * the page then asks for the code of the message. GET never uses up a link.
 */
export const passwordResetPage = ({ passwordReset }: Needs) =>
  new Elysia({ prefix: '/account' })
    .get('/reset', ({ set }) => renderPage(formPage(), set), {
      detail: { ...detail, 'x-rate-limit': 'none' },
    })
    .post(
      '/reset',
      async ({ body, request, set }) => {
        const token = body?.get('token')?.trim() ?? ''
        const password = body?.get('new_password') ?? ''
        try {
          requireValid(password)
          await passwordReset.reset(token, password, request)
          return renderPage(donePage, set)
        } catch (error) {
          if (!(error instanceof ProblemError) || !explained.has(error.problemCode)) throw error
          set.status = problemCatalogue[error.problemCode].status
          return renderPage(formPage(token, error), set)
        }
      },
      {
        body: FormBody({ type: 'object' }),
        detail: { ...detail, 'x-accepts': ['application/x-www-form-urlencoded'] },
      },
    )

/** Problems that the page shows. Others are for programs and operators. */
const explained = new Set<string>(['link-expired', 'weak-password', 'invalid-request'])

const requireValid = (password: string) => {
  const mismatch = explainMismatch(NewPassword, password)
  if (mismatch !== undefined) throwInvalidRequest('/new_password', mismatch)
}

const explain = ({ problemCode, errors }: ProblemError): string =>
  problemCode === 'link-expired'
    ? 'The link or code is not valid any more. It works once, and for a limited time. Request a new one.'
    : `The new password ${errors?.[0]?.detail ?? 'is not accepted'}.`

const formPage = (token = '', problem?: ProblemError): Page => ({
  title: 'Choose a new password',
  body: `<h1>Choose a new password</h1>
${problem ? `<p role="alert" class="alert">${Bun.escapeHTML(explain(problem))}</p>` : ''}
<form method="post" action="/account/reset">
${codeField(token)}
<label>New password
<input type="password" name="new_password" required maxlength="128" autocomplete="new-password"></label>
<button>Set the password</button>
</form>`,
  hasForm: true,
  script: fillToken,
})

const donePage: Page = {
  title: 'Your password was changed',
  body: `<h1>Your password was changed</h1>
<p>All sessions have ended. Sign in with the new password.</p>`,
}
