import { Elysia, t } from 'elysia'
import { exampleProblem } from '../openapi/problem-responses.ts'
import { type ProblemCode, problemResponses, throwProblem } from '../problem.ts'
import { problemCatalogue } from '../problem-catalogue.ts'
import { pageExample, prefersHtml, renderPage, renderProse } from './html.ts'

const codes = Object.keys(problemCatalogue) as ProblemCode[]
const entries = codes.map((code) => {
  const { status, title, cause, cure } = problemCatalogue[code]
  return { type: `/problems/${code}`, code, status, title, cause, cure }
})
type Entry = (typeof entries)[number]

const ProblemDescription = t.Object(
  {
    type: t.String(),
    code: t.String(),
    status: t.Number(),
    title: t.String(),
    cause: t.String(),
    cure: t.String(),
  },
  { additionalProperties: false, $id: 'ProblemDescription', examples: entries.slice(0, 1) },
)
const ProblemList = t.Object(
  { problems: t.Array(ProblemDescription) },
  { additionalProperties: false, $id: 'ProblemList' },
)

const detail = {
  tags: ['Service'],
  security: [],
  'x-rate-limit': 'none' as const,
  'x-produces': ['application/json', 'text/html'],
  'x-examples': pageExample,
}

/** The catalogue of problems, where the `type` of a problem points, as JSON or as pages. */
export const problemPages = () =>
  new Elysia({ prefix: '/problems', detail })
    .get(
      '',
      ({ request, set }) =>
        prefersHtml(request, set)
          ? renderPage({ title: 'Problems', body: list }, set)
          : { problems: entries },
      {
        response: { 200: t.Union([ProblemList, t.String()]) },
        detail: { operationId: 'listProblems', summary: 'All problem codes' },
      },
    )
    .get(
      '/:code',
      ({ params, request, set }) => {
        const entry = entries.find(({ code }) => code === params.code) ?? throwProblem('not-found')
        return prefersHtml(request, set)
          ? renderPage({ title: entry.title, body: article(entry) }, set)
          : entry
      },
      {
        params: t.Object({ code: t.String({ examples: ['invalid-request'] }) }),
        response: {
          200: t.Union([ProblemDescription, t.String()]),
          ...problemResponses('not-found'),
        },
        detail: {
          operationId: 'getProblem',
          summary: 'One problem code, its cause and what to do',
        },
      },
    )

const list = `<h1>Problems</h1>
<p>${renderProse('Every error response is `application/problem+json` (RFC 9457). Branch on its `code`.')}</p>
<table>
<tr><th>Status<th>Code<th>Meaning
${entries.map(({ type, code, status, title }) => `<tr><td>${status}<td><a href="${type}"><code>${code}</code></a><td>${title}`).join('\n')}
</table>
<p><a href="/docs">Documentation</a></p>`

const article = ({ code, status, title, cause, cure }: Entry): string => `<h1>${title}</h1>
<p><code>${code}</code>, status ${status}</p>
<h2>Cause</h2>
<p>${renderProse(cause)}</p>
<h2>What to do</h2>
<p>${renderProse(cure)}</p>
<h2>Example</h2>
<pre>${Bun.escapeHTML(JSON.stringify(exampleProblem(code), null, 2))}</pre>
<p><a href="/problems">All problems</a> · <a href="/docs">Documentation</a></p>`
