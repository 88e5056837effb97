import { Elysia, t } from 'elysia'
import { version } from '../../../package.json' with { type: 'json' }
import { pageExample, prefersHtml, renderPage, renderProse } from './html.ts'

type Needs = { registration: 'open' | 'closed' }

const about = {
  name: 'Taskwarden' as const,
  version,
  description: 'A task list for each of many users, as a REST API',
  links: {
    docs: '/docs',
    openapi: '/docs/json',
    problems: '/problems',
    health: '/health',
    ready: '/ready',
  },
}

const path = t.String({ format: 'uri-reference' })
const About = t.Object(
  {
    name: t.Literal('Taskwarden'),
    version: t.String(),
    description: t.String(),
    links: t.Object(
      { docs: path, openapi: path, problems: path, health: path, ready: path },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, $id: 'About', examples: [about] },
)

/** What whoever comes by address alone gets to see: what runs here, and where to go on. */
export const homePage = ({ registration }: Needs) => {
  const body = renderBody(registration === 'open')

  return new Elysia().get(
    '/',
    ({ request, set }) =>
      prefersHtml(request, set) ? renderPage(`${about.name} ${version}`, body, set) : about,
    {
      response: { 200: t.Union([About, t.String()]) },
      detail: {
        tags: ['Service'],
        security: [],
        'x-budget': 'none',
        operationId: 'about',
        summary: 'What runs here, and where to go on',
        'x-produces': ['application/json', 'text/html'],
        'x-examples': pageExample,
      },
    },
  )
}

const { docs, openapi, problems, health, ready } = about.links

const renderBody = (canSignUp: boolean): string => `<h1>${about.name} <small>${version}</small></h1>
<p>${about.description}.</p>
<table>
<tr><td><a href="${docs}">Documentation</a><td>every route, to be read and to be tried
<tr><td><a href="${openapi}">OpenAPI</a><td>the same for programs: clients are generated from it
<tr><td><a href="${problems}">Problems</a><td>every refusal there is, with its cause and its cure
<tr><td><a href="${health}">Health</a><td>whether the process runs
<tr><td><a href="${ready}">Readiness</a><td>whether database and counters answer
</table>
<h2>First steps</h2>
<ol>
<li>${renderProse(canSignUp ? signUp : askForAccount)}
<li>${renderProse('Send it with each request: `Authorization: Bearer <access_token>`.')}
<li>${renderProse('`POST /api/tasks` adds a task, `GET /api/tasks` lists yours and nobody else’s.')}
</ol>
<p>In the <a href="${docs}">documentation</a>, <em>Authorize</em> takes the e-mail and the password.</p>`

const signUp =
  'Sign up: `POST /api/auth/register` takes `{"email": "…", "password": "…"}` and answers an `access_token`.'
const askForAccount =
  'Sign-up is closed here. With an account, `POST /api/auth/login` takes `{"email": "…", "password": "…"}` and answers an `access_token`.'
