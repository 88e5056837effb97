import { negotiate } from '../content-negotiation.ts'

/** The part of Elysia's `set` that has the response headers. */
type Set = { headers: Record<string, string | number> }

/** Whether the client prefers a page. Programs, and clients that accept anything, get JSON. */
export const prefersHtml = (request: Request, set: Set): boolean => {
  set.headers.vary = ['Accept', set.headers.vary].filter(Boolean).join(', ')
  const offered = ['application/json', 'text/html'] as const
  return negotiate(request.headers.get('accept'), offered) === 'text/html'
}

/** `body` is HTML. `script` runs after it; the page must work without it. */
export type Page = { title: string; body: string; hasForm?: boolean; script?: string }

/** A page without external resources. Its policy permits exactly the style, the script and the form of the page. */
export const renderPage = (page: Page, set: Set): string => {
  const { title, body, script } = page
  set.headers['content-type'] = 'text/html; charset=utf-8'
  set.headers['content-security-policy'] = policyOf(page)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${Bun.escapeHTML(title)}</title>
<link rel="icon" href="${icon}">
<style>${style}</style>
</head>
<body>
${body}
${script === undefined ? '' : `<script>${script}</script>`}
</body>
</html>
`
}

/** Escapes text and turns backticks into `<code>`. */
export const renderProse = (text: string): string =>
  Bun.escapeHTML(text).replace(/`([^`]+)`/g, '<code>$1</code>')

/** The example in the OpenAPI document for routes that also have a page. */
export const pageExample = {
  'text/html': '<!doctype html>\n<html lang="en">\n<title>Taskwarden</title>\n</html>\n',
}

/** Inline, so that browsers do not request `/favicon.ico`. */
const icon = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#2a6f4e"/><path d="m3.5 8.5 3 3 6-7" fill="none" stroke="#fff" stroke-width="2"/></svg>',
)}`

const style = `
:root { color-scheme: light dark; --edge: #8884 }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
h1 { line-height: 1.2 }
h1 small { font-size: 1rem; font-weight: normal }
h2 { font-size: 1.1rem; margin-top: 2rem }
code, pre { font: .9em ui-monospace, monospace }
pre { padding: 1rem; overflow-x: auto; border: 1px solid var(--edge); border-radius: .4rem }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .35rem 1rem .35rem 0; border-bottom: 1px solid var(--edge) }
a { color: light-dark(#1d5c40, #7fd1a8) }
label { display: block; margin: 1rem 0 }
label[hidden] { display: none }
input { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .5rem; border: 1px solid #8888; border-radius: .3rem }
button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .3rem; background: #2a6f4e; color: #fff; cursor: pointer }
.alert { padding: .5rem 1rem; border-left: .3rem solid light-dark(#a33, #f88) }
`

const hashOf = (text: string) =>
  `'sha256-${new Bun.CryptoHasher('sha256').update(text).digest('base64')}'`

const stylePolicy = `style-src ${hashOf(style)}`

/** Allows only the inline parts of the page, by their hashes. */
const policyOf = ({ hasForm = false, script }: Page): string =>
  [
    "default-src 'none'",
    stylePolicy,
    ...(script === undefined ? [] : [`script-src ${hashOf(script)}`]),
    'img-src data:',
    "base-uri 'none'",
    `form-action ${hasForm ? "'self'" : "'none'"}`,
    "frame-ancestors 'none'",
  ].join('; ')
