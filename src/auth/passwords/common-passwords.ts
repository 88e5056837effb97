import { readCommonPasswords } from './common-passwords.macro.ts' with { type: 'macro' }

const lines = readCommonPasswords()

/** Looks the text through: less than a millisecond, where hashing a password takes hundreds. */
export const isCommon = (password: string): boolean =>
  !password.includes('\n') && lines.includes(`\n${password.toLowerCase()}\n`)
