import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A URL has something in it that cannot be used; the message goes behind the name of its setting. */
export class ConnectionUrlError extends Error {}

export type ConnectionTarget = {
  options: {
    host: string
    port: number
    path?: string
    database: string
    username: string
    password: string
    ssl: false | 'prefer' | TlsOptions
  }
  /** Startup parameters from the URL. */
  parameters: Record<string, string>
  /** Between us and the server is a pooler that hands each statement to another connection. */
  pooled: boolean
  /** That pooler keeps track of named prepared statements. */
  preparesThroughPooler: boolean
}

type TlsOptions = {
  rejectUnauthorized: boolean
  host: string
  ca?: string
  checkServerIdentity?: () => undefined
}

/**
 * Only these go on to the server. All else in a URL is meant for another client
 * (`channel_binding`, `pgbouncer`, `connection_limit`), and the server refuses what it does not know.
 */
const forwarded = ['application_name', 'options', 'search_path']

/** Reads a `postgres://` URL as libpq would, except that TLS is verified unless told otherwise. */
export const parseConnectionUrl = (url: string): ConnectionTarget => {
  const { hostname, port, pathname, username, password, searchParams } = new URL(url)
  // A `host` among the parameters is the one that is called, so it is the one whose certificate counts.
  const host =
    searchParams.get('host') || decodeURIComponent(hostname.replace(/^\[|\]$/g, '')) || 'localhost'
  const directory = host.startsWith('/') ? host : undefined
  const portNumber = Number(port || 5432)
  const user = decodeURIComponent(username) || 'postgres'
  return {
    options: {
      host: directory ? 'localhost' : host,
      port: portNumber,
      ...(directory && { path: `${directory}/.s.PGSQL.${portNumber}` }),
      database: decodeURIComponent(pathname.slice(1)) || user,
      username: user,
      password: decodeURIComponent(password),
      ssl: directory ? false : tlsOf(host, searchParams),
    },
    parameters: Object.fromEntries([...searchParams].filter(([name]) => forwarded.includes(name))),
    // 6432 and 6543 are the ports of PgBouncer and of Supabase's transaction pooler.
    pooled:
      searchParams.get('pgbouncer') === 'true' ||
      /-pooler\./.test(host) ||
      /^6(432|543)$/.test(port),
    preparesThroughPooler: /-pooler\..*neon\.tech$/.test(host),
  }
}

/**
 * `sslmode` → what is checked. libpq's `require` checks nothing; here it verifies chain and name,
 * because a URL with `require` in it (Neon's) means to be safe. Opting out is said aloud, `no-verify`.
 *
 * Without a mode a public host is verified too. A private one gets TLS where it offers it, as with
 * libpq, unverified: there databases speak plain, and whoever could forge a certificate could
 * as well strip the offer.
 */
const tlsOf = (host: string, params: URLSearchParams): false | 'prefer' | TlsOptions => {
  const loopback = /^(localhost|127\.[\d.]+|::1)$/.test(host)
  const file = params.get('sslrootcert')
  const ca = file && file !== 'system' ? { ca: authorityIn(file) } : {}
  const mode = params.get('sslmode') ?? (file || !isPrivate(host) ? 'verify-full' : 'prefer')
  const verified = { rejectUnauthorized: true, host, ...ca }

  if (mode === 'disable') return false
  if (mode === 'prefer' || mode === 'allow') return loopback ? false : 'prefer'
  if (mode === 'no-verify') return { rejectUnauthorized: false, host }
  if (mode === 'require') return loopback ? { rejectUnauthorized: false, host } : verified
  if (mode === 'verify-ca') return { ...verified, checkServerIdentity: () => undefined }
  if (mode === 'verify-full') return verified
  throw new ConnectionUrlError(
    'has an sslmode that is none of disable, allow, prefer, require, verify-ca, verify-full, no-verify',
  )
}

/** Read when the settings are: TLS would stumble over a wrong file at each connection. */
const authorityIn = (file: string): string => {
  try {
    const text = readFileSync(file, 'utf8')
    new X509Certificate(text)
    return text
  } catch (error) {
    const code =
      error instanceof Error && 'syscall' in error && 'code' in error ? error.code : undefined
    throw new ConnectionUrlError(
      code === undefined
        ? 'has an sslrootcert that is no certificate; give the path of a CA in PEM'
        : `has an sslrootcert that cannot be read (${code}); give the path of a CA in PEM`,
    )
  }
}

/**
 * Names that only a private network resolves (one label, as Docker's; Fly's and Railway's suffixes), and
 * addresses of RFC 1918, RFC 3927 and RFC 4193.
 */
const isPrivate = (host: string): boolean =>
  !/[.:]/.test(host) ||
  /\.(internal|flycast|local|localhost)$/i.test(host) ||
  /^(127|10|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\.[\d.]+$/.test(host) ||
  /^(::1$|f[cd][0-9a-f]{2}:|fe80:)/i.test(host)
