/** The content of a message. */
export type Content = {
  subject: string
  /** Plain text, without the greeting. */
  before: string[]
  /** The link, and the code for a page that cannot read the link. */
  link?: { label: string; url: string; code: string }
  after: string[]
}

/** Renders a message as text and as HTML. The HTML has no images, no scripts and no external resources. */
export const renderMail = ({ subject, before, link, after }: Content, origin: string) => ({
  subject,
  text: [
    ...before,
    ...(link ? [`${link.label}:\n${link.url}`, `If the page asks for a code:\n${link.code}`] : []),
    ...after,
    `-- \nTaskwarden at ${origin}`,
  ].join('\n\n'),
  html: `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>${Bun.escapeHTML(subject)}</title></head>
<body style="font: 16px/1.5 sans-serif; max-width: 36em; margin: 2em auto; padding: 0 1em">
${before.map(paragraph).join('\n')}
${link ? linkHtml(link) : ''}
${after.map(paragraph).join('\n')}
<p style="color: #777">Taskwarden at ${Bun.escapeHTML(origin)}</p>
</body>
</html>
`,
})

const paragraph = (text: string) => `<p>${Bun.escapeHTML(text)}</p>`

const linkHtml = ({ label, url, code }: NonNullable<Content['link']>) =>
  `<p><a href="${Bun.escapeHTML(url)}" style="display: inline-block; padding: .6em 1em; border-radius: .3em; background: #2a6f4e; color: #fff; text-decoration: none">${Bun.escapeHTML(label)}</a></p>
<p>If the page asks for a code:<br><code style="word-break: break-all">${code}</code></p>`
