import { Elysia } from 'elysia'
import { responseHeaders } from './headers.ts'
import { createAbout, type Limits, securitySchemes } from './info.ts'
import { type GeneratedOperation, toOperation } from './operation.ts'
import { commonResponse, problemExamples } from './problem-responses.ts'
import { collectNamed, type Schema } from './schemas.ts'
import { bodiesOf, toWebhooks, type WebhookMessage } from './webhooks.ts'

export type Routes = Elysia['routes']
type Paths = Record<string, Record<string, GeneratedOperation>>

/**
 * The OpenAPI 3.1 document of these routes.
 *
 * @elysiajs/swagger generates it from the routes, but the result is not valid: responses have no descriptions,
 * every body has three media types, and problems are plain JSON. So each operation is built again from it. What
 * applies to every operation is added here: common problems and response headers.
 */
export const createOpenApiDocument = async (
  routes: Routes,
  limits: Limits,
  messages: readonly WebhookMessage[],
) => {
  const documented = routes.filter(({ hooks }) => hooks.detail?.hide !== true)
  const schemas = collectNamed([...documented.flatMap(schemasOf), ...bodiesOf(messages)])

  return {
    ...createAbout(limits),
    paths: mapValues(await generate(documented), (methods) =>
      mapValues(methods, (generated) => toOperation(generated, schemas)),
    ),
    webhooks: toWebhooks(messages, schemas),
    components: {
      securitySchemes,
      schemas,
      headers: responseHeaders,
      responses: { Problem: commonResponse },
      examples: problemExamples(),
    },
  }
}

/** Runs the plugin on a temporary app that has the schemas of the routes and none of their handlers. */
const generate = async (routes: Routes): Promise<Paths> => {
  // Loaded at the first request for the document: it takes 17 ms.
  const { swagger } = await import('@elysiajs/swagger')
  const app = new Elysia({ aot: false })
  for (const { method, path, hooks } of routes) {
    const { params, query, body, response, detail } = hooks
    app.route(method, path, () => '', { params, query, body, response, detail })
  }
  app.use(swagger({ path: '/docs', specPath: '/docs/json', excludeStaticFile: false }))

  const response = await app.handle(new Request('http://localhost/docs/json'))
  const { paths } = (await response.json()) as { paths: Paths }
  return paths
}

/** From the routes, because the plugin drops `additionalProperties` of responses. */
const schemasOf = ({ hooks: { body, query, response = {} } }: Routes[number]): Schema[] =>
  JSON.parse(JSON.stringify([body, query, ...Object.values(response)].filter(Boolean)))

const mapValues = <From, To>(from: Record<string, From>, change: (one: From) => To) =>
  Object.fromEntries(Object.entries(from).map(([key, one]) => [key, change(one)]))
