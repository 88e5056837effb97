import { readCommonPasswords } from './common-passwords.macro.ts' with { type: 'macro' }

const lines = readCommonPasswords()

/** A text search, which takes less than a millisecond; hashing a password takes hundreds. */
export const isCommon = (password: string): boolean =>
  !password.includes('\n') && lines.includes(`\n${password.toLowerCase()}\n`)
