import { dictionary } from '@zxcvbn-ts/language-common'

/**
 * The most used passwords in lower case, one per line, with a line break before the first and after the last.
 *
 * Imported as a macro, so that the binary contains one text. When the package is loaded, it creates 110 000 strings,
 * which take 8 MB.
 */
export const readCommonPasswords = (): string => {
  const words = dictionary['passwords-common'].map((word) => String(word).toLowerCase())
  return `\n${[...new Set(words)].join('\n')}\n`
}
