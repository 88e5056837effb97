import { dictionary } from '@zxcvbn-ts/language-common'

/**
 * The most used passwords in small letters, one a line, with a line's end before the first and after the last.
 * Imported as a macro, so that a binary carries one text: the package makes 110 000 strings of its
 * lists as soon as it is loaded, which take 8 MB (measured).
 */
export const readCommonPasswords = (): string => {
  const words = dictionary['passwords-common'].map((word) => String(word).toLowerCase())
  return `\n${[...new Set(words)].join('\n')}\n`
}
