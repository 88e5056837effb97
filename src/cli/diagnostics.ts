import { DatabaseUnavailable } from '../db/errors.ts'

/** `note`: the service works, but could be configured better. `wrong`: the service does not work. */
export type Diagnostic = { level: 'ok' | 'note' | 'wrong'; subject: string; message: string }

/** Advice by error code. `$URL` stands for the setting that has the address of the database. */
const advice: [RegExp, string][] = [
  [
    /^ECONNREFUSED$/,
    'no server listens there: check host and port in $URL, and that the server runs',
  ],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'the host does not exist: check $URL'],
  [/^28/, 'the server refuses the user or the password in $URL, or requires TLS (sslmode)'],
  [/^3D000$/, 'the server has no database with this name: create it, or check $URL'],
  [
    /^(CERT|UNABLE|SELF_SIGNED|DEPTH)_/,
    'the certificate of the server is not trusted: add its CA with sslrootcert=/path/to/ca.pem to $URL',
  ],
  [
    /^ERR_TLS_CERT_ALTNAME/,
    'the certificate of the server is for another name: use that name in $URL',
  ],
  [
    /^(ERR_SSL_|ERR_TLS_|ECONNRESET|CONNECTION_CLOSED)/,
    'the server closed the connection: check its log; if it has no TLS, add sslmode=disable to $URL',
  ],
  [
    /^(deadline|ETIMEDOUT|CONNECT_TIMEOUT|EHOSTUNREACH|ENETUNREACH)$/,
    'no response within DB_TIMEOUT_MS: check host, port and firewall; if the database responds to `doctor`, a statement took longer or waited for a lock',
  ],
  [
    /^53100$|^58/,
    'the disk of the server is full or failing: free space there; the service then recovers by itself',
  ],
  [
    /^(53|57P03)/,
    'the server is starting or has no free connection: wait, or raise its max_connections',
  ],
  [/^55000$/, 'the database accepts no connections: alter database … allow_connections true'],
  [/^25006$/, 'the server accepts no writes: $URL must name the primary, not a standby'],
  [
    /^42501$/,
    'the role in $URL lacks permission: migrate as the owner (MIGRATION_DATABASE_URL), and grant the role access to the tables',
  ],
  [/^42704$/, 'the server does not know a parameter in $URL: remove it'],
]

/** Why the database cannot be used, and what to do. `url` is the setting that has its address. */
export const explainDatabaseError = (error: unknown, url = 'DATABASE_URL'): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'DataDirectoryInUse')
    return `${error.message}: stop the service first, or use its /ready`
  if (error.name === 'DataDirectoryDamaged' || error.name === 'SecretDamaged') return error.message
  const code = codeOf(error)
  if (code === undefined) return `it failed with ${error.name}`
  const [, what = 'check $URL'] = advice.find(([codes]) => codes.test(code)) ?? []
  return `${what.replaceAll('$URL', () => url)} (${code})`
}

/** Only the code: the message of a database error may contain data. */
const codeOf = (error: Error): string | undefined => {
  if (error instanceof DatabaseUnavailable) return error.code
  return error.name === 'PostgresError' && 'code' in error ? String(error.code) : undefined
}

/** Whether `explainDatabaseError` has more than the class of the error. */
export const isDatabaseError = (error: Error): boolean => codeOf(error) !== undefined
