import { Elysia } from 'elysia'
import { responseHeaders } from './headers.ts'
import { about, securitySchemes } from './info.ts'
import { operation, type Walked } from './operation.ts'
import { problemExamples } from './problem-responses.ts'
import { named, type Schema } from './schemas.ts'

export type Routes = Elysia['routes']
type Paths = Record<string, Record<string, Walked>>

/**
 * The OpenAPI 3.1 document of these routes.
 *
 * @elysiajs/swagger walks them; what it finds is valid by no version of the standard
 * (no descriptions, every body in three media types, refusals as plain JSON), so each
 * operation is put together anew, here and nowhere else. What a route cannot say of
 * itself is added to all: how any request may be refused, and which headers come back.
 */
export const createOpenApiDocument = async (routes: Routes) => {
  const listed = routes.filter(({ hooks }) => hooks.detail?.hide !== true)
  const schemas = named(listed.flatMap(schemasOf))

  return {
    ...about,
    paths: mapValues(await walk(listed), (methods) =>
      mapValues(methods, (walked) => operation(walked, schemas)),
    ),
    components: {
      securitySchemes,
      schemas,
      headers: responseHeaders,
      examples: problemExamples(),
    },
  }
}

/** On an app of its own, with the routes' schemas and none of their code. */
const walk = async (routes: Routes): Promise<Paths> => {
  // Loaded when the document is first asked for: it takes 17 ms that no start need wait for.
  const { swagger } = await import('@elysiajs/swagger')
  const shell = new Elysia({ aot: false })
  for (const { method, path, hooks } of routes) {
    const { params, query, body, response, detail } = hooks
    shell.route(method, path, () => '', { params, query, body, response, detail })
  }
  shell.use(swagger({ path: '/docs', specPath: '/docs/json', excludeStaticFile: false }))

  const answer = await shell.handle(new Request('http://localhost/docs/json'))
  const { paths } = (await answer.json()) as { paths: Paths }
  return paths
}

/** From the routes, because the walk drops `additionalProperties` of what is answered. */
const schemasOf = ({ hooks: { body, response = {} } }: Routes[number]): Schema[] =>
  JSON.parse(JSON.stringify([body, ...Object.values(response)].filter(Boolean)))

const mapValues = <From, To>(from: Record<string, From>, change: (one: From) => To) =>
  Object.fromEntries(Object.entries(from).map(([key, one]) => [key, change(one)]))
