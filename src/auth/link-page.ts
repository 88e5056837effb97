/** The form field for the token. It works without scripts: the message contains the token as a code too. */
export const codeField = (token: string): string => `<label>Code from the message
<input name="token" value="${Bun.escapeHTML(token)}" required autocomplete="off" spellcheck="false"></label>`

/** Moves the token from the URL into the form, so that it stays neither visible nor in the history. */
export const fillToken = `
const [, token] = /^#token=([\\w-]+)$/.exec(location.hash) ?? []
if (token) {
  const input = document.querySelector('input[name=token]')
  input.value = token
  input.closest('label').hidden = true
  history.replaceState(null, '', location.pathname)
}
`
