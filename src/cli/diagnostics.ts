import { DatabaseUnavailable } from '../db/faults.ts'

/** `note`: it works, and could be better. `wrong`: the service does not work like this. */
export type Diagnostic = { verdict: 'ok' | 'note' | 'wrong'; subject: string; says: string }

/** What to do about a database that cannot be used, by the code that it failed with; $URL is the setting that has its address. */
const advice: [RegExp, string][] = [
  [/^ECONNREFUSED$/, 'nothing listens there: check host and port in $URL, and that it runs'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'there is no such host: check $URL'],
  [/^28/, 'it refuses the user or the password in $URL, or wants TLS (sslmode)'],
  [/^3D000$/, 'it has no database of that name: make it, or check $URL'],
  [
    /^(CERT|UNABLE|SELF_SIGNED|DEPTH)_/,
    'its certificate does not verify: give its CA by sslrootcert=/path/to/ca.pem in $URL',
  ],
  [
    /^ERR_TLS_CERT_ALTNAME/,
    'its certificate is of another name: use the name that it was made for in $URL',
  ],
  [
    /^(ERR_SSL_|ERR_TLS_|ECONNRESET|CONNECTION_CLOSED)/,
    'it cut the connection off: look at its log; if it speaks no TLS, add sslmode=disable to $URL',
  ],
  [
    /^(deadline|ETIMEDOUT|CONNECT_TIMEOUT|EHOSTUNREACH|ENETUNREACH)$/,
    'no answer in DB_TIMEOUT_MS: check host, port and firewall',
  ],
  [
    /^53100$|^58/,
    'its disk is full or fails: make room there; nothing has to be done here afterwards',
  ],
  [/^(53|57P03)/, 'it has no room, or is starting: wait, or raise its max_connections'],
  [/^55000$/, 'that database takes no connections: alter database … allow_connections true'],
  [/^25006$/, 'it takes no writes: $URL is to name the primary, not a standby'],
  [
    /^42501$/,
    'the role in $URL may not do that: have the owner migrate (MIGRATION_DATABASE_URL), and grant it the tables',
  ],
  [/^42704$/, 'it does not know a parameter in $URL: take it out'],
]

/** Why the database cannot be used, and what to do; `url` is the setting that has its address. */
export const explainDatabaseError = (error: unknown, url = 'DATABASE_URL'): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'DataDirectoryInUse')
    return `${error.message}: stop the service first, or ask it at /ready`
  if (error.name === 'DataDirectoryDamaged' || error.name === 'SecretDamaged') return error.message
  const code = codeOf(error)
  if (code === undefined) return `it fails with ${error.name}`
  const [, what = 'check $URL'] = advice.find(([codes]) => codes.test(code)) ?? []
  return `${what.replaceAll('$URL', () => url)} (${code})`
}

/** Of what a database says only the code: its message may have data in it. */
const codeOf = (error: Error): string | undefined => {
  if (error instanceof DatabaseUnavailable) return error.code
  return error.name === 'PostgresError' && 'code' in error ? String(error.code) : undefined
}

/** Whether `reasonOf` has more to say of an error than its class. */
export const isDatabaseError = (error: Error): boolean => codeOf(error) !== undefined
