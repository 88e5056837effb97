import { negotiate } from '../content-negotiation.ts'

/** Elysia's `set`, as far as an answer's headers go. */
type Set = { headers: Record<string, string | number> }

/** Whether to answer with a page: programs, and whoever takes anything, get JSON. */
export const prefersHtml = (request: Request, set: Set): boolean => {
  set.headers.vary = ['Accept', set.headers.vary].filter(Boolean).join(', ')
  const offered = ['application/json', 'text/html'] as const
  return negotiate(request.headers.get('accept'), offered) === 'text/html'
}

/** A page for people, with nothing from elsewhere and no script. `body` is HTML. */
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

/** Text of ours as HTML: what is between backticks is code. */
export const renderProse = (text: string): string =>
  Bun.escapeHTML(text).replace(/`([^`]+)`/g, '<code>$1</code>')

/** How the document shows that an address has a page, too. */
export const pageExample = {
  'text/html': '<!doctype html>\n<html lang="en">\n<title>Taskwarden</title>\n</html>\n',
}

/** A tick in a box. It is in the page, so that no browser asks for a `/favicon.ico`. */
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

/** Of all styles and images, only the ones in the page; of all else, nothing. */
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${new Bun.CryptoHasher('sha256').update(style).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
