import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** An invalid database URL. The message follows the name of its setting. */
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
  /** The URL names a pooler in transaction mode: each statement can run on another server connection. */
  pooled: boolean
  /** The pooler supports named prepared statements. */
  preparesThroughPooler: boolean
}

type TlsOptions = {
  rejectUnauthorized: boolean
  host: string
  ca?: string
  checkServerIdentity?: () => undefined
}

/**
 * The parameters that are sent to the server. Others are for other clients (`channel_binding`, `pgbouncer`,
 * `connection_limit`), and PostgreSQL refuses unknown parameters.
 */
const forwarded = ['application_name', 'options', 'search_path']

/** Parses a `postgres://` URL as libpq does, except that TLS certificates are verified by default. */
export const parseConnectionUrl = (url: string): ConnectionTarget => {
  const { hostname, port, pathname, username, password, searchParams } = new URL(url)
  // The parameter `host` replaces the host of the URL, also for the check of the certificate.
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
 * The TLS options of an `sslmode`. libpq does not verify the certificate with `require`. Here `require` verifies chain
 * and name, because the URLs of providers such as Neon contain it. `no-verify` disables verification.
 *
 * Without `sslmode`, the certificate of a public host is verified. For a private host the default is `prefer`, as in
 * libpq: TLS without verification if the server offers it. Databases on private networks often have no TLS, and an
 * attacker who can forge a certificate there can also suppress the offer.
 */
const tlsOf = (host: string, params: URLSearchParams): false | 'prefer' | TlsOptions => {
  const loopback = /^(localhost|127\.[\d.]+|::1)$/.test(host)
  const file = params.get('sslrootcert')
  const ca = file && file !== 'system' ? { ca: readAuthority(file) } : {}
  const mode = params.get('sslmode') ?? (file || !isPrivate(host) ? 'verify-full' : 'prefer')
  const verified = { rejectUnauthorized: true, host, ...ca }

  if (mode === 'disable') return false
  if (mode === 'prefer' || mode === 'allow') return loopback ? false : 'prefer'
  if (mode === 'no-verify') return { rejectUnauthorized: false, host }
  if (mode === 'require') return loopback ? { rejectUnauthorized: false, host } : verified
  if (mode === 'verify-ca') return { ...verified, checkServerIdentity: () => undefined }
  if (mode === 'verify-full') return verified
  throw new ConnectionUrlError(
    'has an unknown sslmode; use one of disable, allow, prefer, require, verify-ca, verify-full, no-verify',
  )
}

/** Reads the CA at start, so that an invalid file is reported before the first connection. */
const readAuthority = (file: string): string => {
  try {
    const text = readFileSync(file, 'utf8')
    new X509Certificate(text)
    return text
  } catch (error) {
    const code =
      error instanceof Error && 'syscall' in error && 'code' in error ? error.code : undefined
    throw new ConnectionUrlError(
      code === undefined
        ? 'has an sslrootcert that is not a certificate; give the path of a CA in PEM'
        : `has an sslrootcert that cannot be read (${code}); give the path of a CA in PEM`,
    )
  }
}

/**
 * Host names of private networks (one label, as in Docker; the suffixes of Fly.io and Railway), and the private addresses
 * of RFC 1918, RFC 3927 and RFC 4193.
 */
const isPrivate = (host: string): boolean =>
  !/[.:]/.test(host) ||
  /\.(internal|flycast|local|localhost)$/i.test(host) ||
  /^(127|10|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\.[\d.]+$/.test(host) ||
  /^(::1$|f[cd][0-9a-f]{2}:|fe80:)/i.test(host)
