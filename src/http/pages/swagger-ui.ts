import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { Elysia } from 'elysia'
import icon from 'swagger-ui-dist/favicon-32x32.png' with { type: 'file' }
import { version } from 'swagger-ui-dist/package.json' with { type: 'json' }
import styles from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' }
import bundle from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' }
import { assetBytes } from '../../asset.ts'
import { createOpenApiDocument, type Routes } from '../openapi/document.ts'
import type { Limits } from '../openapi/info.ts'
import type { WebhookMessage } from '../openapi/webhooks.ts'

type Needs = {
  /** Called once, at the first request for the document, when all routes are registered. */
  routes: () => Routes
  limits: Limits
  /** What receivers of webhooks get. */
  messages: readonly WebhookMessage[]
}

/** The path contains the version, so that browsers can cache the assets forever. */
const assets = `/swagger-ui-${version}`

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Taskwarden API</title>
<link rel="icon" href="/docs${assets}/favicon.png">
<link rel="stylesheet" href="/docs${assets}/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs${assets}/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

/**
 * An operation takes at most two screens: long examples scroll. The form of a problem and the common headers are described at the
 * top of the page, and not repeated.
 */
const pageStyles = `
.swagger-ui .parameters tbody tr td { padding: .15rem 0 }
.swagger-ui .parameters-col_name { white-space: nowrap }
.swagger-ui .opblock-section :is(.table-container, .execute-wrapper:empty) { padding-top: 0; padding-bottom: 0 }
.swagger-ui .parameter__name { margin: 0 }
.swagger-ui :is(.parameter__type, .parameter__deprecated, .parameter__in) { display: inline; margin-right: .5rem; padding: 0 }
.swagger-ui .parameters-col_description { padding-left: 1rem }
.swagger-ui .parameters-col_description :is(p, .renderedMarkdown, .markdown) { display: inline-block; margin: 0 .75rem 0 0; vertical-align: middle }
.swagger-ui .parameters-col_description :is(input, select) { margin: 0; vertical-align: middle }
.swagger-ui .parameters-col_description select[multiple] { height: 3.5rem }
.swagger-ui .opblock .highlight-code pre.microlight { max-height: 6rem; overflow: auto }
.swagger-ui .response:is([data-code^="4"], [data-code="default"]) .model-example,
.swagger-ui .response[data-code="default"] .headers-wrapper { display: none }
.swagger-ui .response-col_description__inner, .swagger-ui .response .model-example { margin: 0 }
.swagger-ui .opblock .tab { margin: .5rem 0 0; padding: 0 }
`

const options = {
  url: '/docs/json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  // In localStorage, a token would outlive the tab and be readable by any script.
  persistAuthorization: false,
  // The default validator is on another host.
  validatorUrl: null,
}

/** A separate file, because the policy of the page forbids inline scripts. The dialog requires a client id. */
const start = `SwaggerUIBundle(${JSON.stringify(options)}).initOAuth({ clientId: 'swagger-ui' })\n`

/** No other host, no frames, no inline scripts. Swagger UI has icons in `data:` URLs. */
const policy = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
}

/** The OpenAPI document, and Swagger UI with all assets from this process: it works without internet. */
export const swaggerUi = ({ routes, limits, messages }: Needs) => {
  let json: Promise<string> | undefined

  return new Elysia({
    prefix: '/docs',
    detail: { hide: true, security: [], 'x-rate-limit': 'none' as const },
  })
    .onBeforeHandle(({ set }) => void Object.assign(set.headers, policy))
    .get('', ({ request, set }) => revalidatedText(page, 'text/html', request, set))
    .get('/page.css', ({ request, set }) => revalidatedText(pageStyles, 'text/css', request, set))
    .get('/start.js', ({ request, set }) => revalidatedText(start, 'text/javascript', request, set))
    .get('/json', async ({ request, set }) => {
      json ??= createOpenApiDocument(routes(), limits, messages).then((document) =>
        JSON.stringify(document),
      )
      return revalidatedText(await json, 'application/json', request, set)
    })
    .get(`${assets}/swagger-ui.css`, immutableFile(styles, 'text/css; charset=utf-8'))
    .get(`${assets}/swagger-ui-bundle.js`, immutableFile(bundle, 'text/javascript; charset=utf-8'))
    .get(`${assets}/favicon.png`, immutableFile(icon, 'image/png'))
}

type Set = { status?: number | string; headers: Record<string, string | number> }
type Context = { request: Request; set: Set }

/** Text that the next release may change: cached, and revalidated by `ETag` each time. */
const revalidatedText = (text: string, type: string, request: Request, set: Set) => {
  const etag = `"${Bun.hash(text).toString(36)}"`
  set.headers['cache-control'] = 'no-cache'
  set.headers.etag = etag
  if (request.headers.get('if-none-match')?.includes(etag)) {
    set.status = 304
    return
  }
  set.headers['content-type'] = type === 'application/json' ? type : `${type}; charset=utf-8`
  return text
}

/** A file that browsers cache forever. It is compressed once, off the event loop: 1.9 MB become 0.5 MB. */
const immutableFile = (path: string, type: string) => {
  let compressed: Promise<Uint8Array<ArrayBuffer>> | undefined

  return async ({ request, set }: Context) => {
    set.headers['cache-control'] = 'public, max-age=31536000, immutable'
    set.headers['content-type'] = type
    set.headers.vary = ['Accept-Encoding', set.headers.vary].filter(Boolean).join(', ')
    if (!/\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')) return assetBytes(path)
    set.headers['content-encoding'] = 'gzip'
    compressed ??= assetBytes(path).then(gzipped)
    return compressed
  }
}

const gzipped = async (bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> =>
  Uint8Array.from(await promisify(gzip)(bytes))
