import { Elysia } from 'elysia'
import { type Page, renderPage } from '../../http/pages/html.ts'
import { ProblemError } from '../../http/problem.ts'
import { problemCatalogue } from '../../http/problem-catalogue.ts'
import { FormBody } from '../../schema/body.ts'
import { codeField, fillToken } from '../link-page.ts'
import type { EmailVerification } from './verification.ts'

type Needs = { emailVerification: EmailVerification }

const detail = { hide: true, tags: ['Service'], security: [] }

/** The page of a verification link. It works without scripts, and GET never uses up a link. */
export const emailVerificationPage = ({ emailVerification }: Needs) =>
  new Elysia({ prefix: '/account' })
    .get('/verify', ({ set }) => renderPage(formPage(), set), {
      detail: { ...detail, 'x-rate-limit': 'none' },
    })
    .post(
      '/verify',
      async ({ body, request, set }) => {
        const token = body?.get('token')?.trim() ?? ''
        try {
          await emailVerification.verify(token, request)
          return renderPage(donePage, set)
        } catch (error) {
          if (!(error instanceof ProblemError) || error.problemCode !== 'link-expired') throw error
          set.status = problemCatalogue[error.problemCode].status
          return renderPage(formPage(token, expired), set)
        }
      },
      {
        body: FormBody({ type: 'object' }),
        detail: { ...detail, 'x-accepts': ['application/x-www-form-urlencoded'] },
      },
    )

const expired =
  '<p role="alert" class="alert">The link or code is not valid any more. It works once, for one day. Sign in to get a new one.</p>'

const formPage = (token = '', alert = ''): Page => ({
  title: 'Confirm your e-mail address',
  body: `<h1>Confirm your e-mail address</h1>
${alert}
<form method="post" action="/account/verify">
${codeField(token)}
<button>Confirm the address</button>
</form>`,
  hasForm: true,
  script: fillToken,
})

const donePage: Page = {
  title: 'Your e-mail address is confirmed',
  body: `<h1>Your e-mail address is confirmed</h1>
<p>You can sign in with it.</p>`,
}
