import { domainToASCII, domainToUnicode } from 'node:url'

/**
 * The form in which addresses are stored and compared: trimmed, NFC, lower case, the domain in ASCII (IDNA, RFC 5891)
 * and without a dot at its end.
 */
export const normalizeEmail = (text: string): string => {
  const [local, domain] = splitEmail(foldCase(text))
  if (domain === undefined) return local
  const bare = domain.replace(/\.$/, '')
  // ASCII stays as it is: the function would also convert numbers and percent-encoding.
  const ascii = isAscii(bare) ? bare : domainToASCII(bare)
  return `${local}@${ascii || bare}`
}

/**
 * The spellings under which an account may be stored: the normal form, and those of accounts from before domains were
 * normalised, as they were typed. The preferred one is first.
 */
export const storedSpellings = (text: string): string[] => {
  const typed = foldCase(text)
  const normal = normalizeEmail(text)
  return [...new Set([typed, normal, ...earlierSpellings(normal)])]
}

/** The other spellings of a normal form, with the domain in Unicode; most have none. */
export const earlierSpellings = (normal: string): string[] => {
  const [local, domain = ''] = splitEmail(normal)
  const unicode = foldCase(`${local}@${domainToUnicode(domain) || domain}`)
  return unicode === normal ? [] : [unicode, `${unicode}.`]
}

/** NFC again after lower case: J with caron has a composed form only in lower case. */
const foldCase = (text: string): string =>
  text.trim().normalize('NFC').toLowerCase().normalize('NFC')

const splitEmail = (email: string): [local: string, domain?: string] => {
  const at = email.lastIndexOf('@')
  return at === -1 ? [email] : [email.slice(0, at), email.slice(at + 1)]
}

const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text)
