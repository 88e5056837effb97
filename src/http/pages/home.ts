import { Elysia, t } from 'elysia'
import { version } from '../../../package.json' with { type: 'json' }
import { pageExample, prefersHtml, renderPage, renderProse } from './html.ts'

type Needs = { registration: 'open' | 'closed' }

const about = {
  name: 'Taskwarden' as const,
  version,
  description: 'A task management REST API for many users',
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

/** `GET /`: name, version and links, as JSON or as a page. */
export const homePage = ({ registration }: Needs) => {
  const body = renderBody(registration === 'open')

  return new Elysia().get(
    '/',
    ({ request, set }) =>
      prefersHtml(request, set)
        ? renderPage({ title: `${about.name} ${version}`, body }, set)
        : about,
    {
      response: { 200: t.Union([About, t.String()]) },
      detail: {
        tags: ['Service'],
        security: [],
        'x-rate-limit': 'none',
        operationId: 'about',
        summary: 'Name, version and links of the service',
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
<tr><td><a href="${docs}">Documentation</a><td>read about every route and try it
<tr><td><a href="${openapi}">OpenAPI</a><td>the same for programs, for example to generate clients
<tr><td><a href="${problems}">Problems</a><td>every error code, its cause and what to do
<tr><td><a href="${health}">Health</a><td>whether the process runs
<tr><td><a href="${ready}">Readiness</a><td>whether the database and the rate-limit store respond
</table>
<h2>First steps</h2>
<ol>
<li>${renderProse(canSignUp ? signUp : askForAccount)}
<li>${renderProse('Send it with each request: `Authorization: Bearer <access_token>`.')}
<li>${renderProse('`POST /api/tasks` adds a task, `GET /api/tasks` lists your tasks.')}
</ol>
<p>In the <a href="${docs}">documentation</a>, <em>Authorize</em> accepts e-mail and password.</p>`

const signUp =
  'Sign up: `POST /api/auth/register` with `{"email": "…", "password": "…"}` returns an `access_token`.'
const askForAccount =
  'Sign-up is closed. If you have an account, `POST /api/auth/login` with `{"email": "…", "password": "…"}` returns an `access_token`.'
