import { DatabaseUnavailable } from '../db/faults.ts'

/** `note`: it works, and could be better. `wrong`: the service does not work like this. */
export type Finding = { verdict: 'ok' | 'note' | 'wrong'; subject: string; says: string }

/** What to do about a database that cannot be used, by the code that it failed with. */
const advice: [RegExp, string][] = [
  [/^ECONNREFUSED$/, 'nothing listens there: check host and port in DATABASE_URL'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'there is no such host: check DATABASE_URL'],
  [/^28/, 'it refuses the user or the password in DATABASE_URL'],
  [/^3D000$/, 'it has no database of that name: make it, or check DATABASE_URL'],
  [
    /^(CERT|UNABLE|SELF_SIGNED|DEPTH|ERR_TLS)_/,
    'its certificate does not verify: give its CA by sslrootcert=/path/to/ca.pem in DATABASE_URL',
  ],
  [
    /^(deadline|ETIMEDOUT|CONNECT_TIMEOUT|EHOSTUNREACH|ENETUNREACH)$/,
    'no answer in DB_TIMEOUT_MS: check host, port and firewall',
  ],
  [/^(53|57P03)/, 'it has no room, or is starting: wait, or raise its max_connections'],
]

/** Why the database cannot be used, and what to do. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'DataDirectoryInUse')
    return `${error.message}: stop the service first, or ask it at /ready`
  if (!(error instanceof DatabaseUnavailable)) return `it fails with ${error.name}`
  const [, what = 'check DATABASE_URL'] = advice.find(([code]) => code.test(error.code)) ?? []
  return `${what} (${error.code})`
}
