import { Elysia, t } from 'elysia'
import { catalogue } from '../catalogue.ts'
import { refusals, refuse } from '../errors.ts'

const pages = Object.entries(catalogue).map(([code, { status, title, cause, cure }]) => ({
  type: `/problems/${code}`,
  code,
  status,
  title,
  cause,
  cure,
}))

const ProblemPage = t.Object(
  {
    type: t.String(),
    code: t.String(),
    status: t.Number(),
    title: t.String(),
    cause: t.String(),
    cure: t.String(),
  },
  { additionalProperties: false, $id: 'ProblemPage', examples: pages.slice(0, 1) },
)

/** What the `type` of a problem leads to: each refusal with its cause and its cure. */
export const problemPages = () =>
  new Elysia({
    prefix: '/problems',
    detail: { tags: ['Service'], security: [], 'x-budget': 'none' as const },
  })
    .get('', () => ({ problems: pages }), {
      response: {
        200: t.Object(
          { problems: t.Array(ProblemPage) },
          { additionalProperties: false, $id: 'ProblemPages' },
        ),
      },
      detail: { operationId: 'listProblems', summary: 'Every refusal there is' },
    })
    .get(
      '/:code',
      ({ params }) => pages.find(({ code }) => code === params.code) ?? refuse('not-found'),
      {
        params: t.Object({ code: t.String({ examples: ['invalid-request'] }) }),
        response: { 200: ProblemPage, ...refusals('not-found') },
        detail: { operationId: 'readProblem', summary: 'One refusal: its cause and its cure' },
      },
    )
