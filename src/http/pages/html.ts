import { negotiate } from '../content-negotiation.ts'

/** The part of Elysia's `set` that has the response headers. */
type Set = { headers: Record<string, string | number> }

/** Whether the client prefers a page. Programs, and clients that accept anything, get JSON. */
export const prefersHtml = (request: Request, set: Set): boolean => {
  set.headers.vary = ['Accept', set.headers.vary].filter(Boolean).join(', ')
  const offered = ['application/json', 'text/html'] as const
  return negotiate(request.headers.get('accept'), offered) === 'text/html'
}

/** A page without scripts and without external resources. `body` is HTML. */
export const renderPage = (title: string, body: string, set: Set): string => {
  set.headers['content-type'] = 'text/html; charset=utf-8'
  set.headers['content-security-policy'] = policy
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
`

/** Allows only the inline style and icon of the page. */
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${new Bun.CryptoHasher('sha256').update(style).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
