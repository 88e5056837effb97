import { createHmac } from 'node:crypto'

export const secret = 'a secret that is long enough for the tests'

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

const hash = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' } as Record<string, string>

type Parts = { header?: unknown; claims?: unknown; secret?: string; alg?: string }

/** Signs a token with these parts. */
export const signed = ({ header = head, claims, secret: key = secret, alg = 'HS256' }: Parts) => {
  const text = `${part(header)}.${part(claims)}`
  const signature = createHmac(hash[alg] ?? 'sha256', key)
    .update(text)
    .digest('base64url')
  return `${text}.${signature}`
}

export const head = { alg: 'HS256', typ: 'at+jwt' }

// biome-ignore lint/suspicious/noExplicitAny: tests change the claims
export const claimsOf = (token: string): any =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** Invalid `Authorization` headers made from a valid token, each with a name. */
export const forgeriesOf = (token: string): [name: string, authorization: string][] => {
  const claims = claimsOf(token)
  const [header = '', payload = '', signature = ''] = token.split('.')
  const now = Math.floor(Date.now() / 1000)
  const without = (name: string) => {
    const { [name]: _, ...others } = claims
    return others
  }
  const named: [string, string][] = [
    ...['none', 'None', 'NONE', 'nOnE', ''].flatMap((alg): [string, string][] => [
      [`alg ${alg}, no signature`, `${part({ ...head, alg })}.${payload}.`],
      [`alg ${alg}, the old signature`, `${part({ ...head, alg })}.${payload}.${signature}`],
      [`alg ${alg}, signed`, signed({ header: { ...head, alg }, claims })],
    ]),
    ['empty signature', `${header}.${payload}.`],
    ...['HS384', 'HS512'].flatMap((alg): [string, string][] => [
      [`${alg}, signed as ${alg}`, signed({ header: { ...head, alg }, claims, alg })],
      [`${alg}, signed as HS256`, signed({ header: { ...head, alg }, claims })],
    ]),
    ...['RS256', 'ES256', 'EdDSA', 'PS256', 'hs256', 'HS256 '].map((alg): [string, string] => [
      `alg ${alg}`,
      signed({ header: { ...head, alg }, claims }),
    ]),
    ['no alg', signed({ header: { typ: 'at+jwt' }, claims })],
    ['wrong secret', signed({ claims, secret: 'another secret that is long enough too' })],
    ['empty secret', signed({ claims, secret: '' })],
    ...[...Buffer.from(signature, 'base64url').keys()].map((at): [string, string] => {
      const bytes = Buffer.from(signature, 'base64url')
      bytes[at] = (bytes[at] ?? 0) ^ 1
      return [
        `byte ${at} of the signature flipped`,
        `${header}.${payload}.${bytes.toString('base64url')}`,
      ]
    }),
    ...['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'].flatMap((name): [string, string][] => [
      [`no ${name}`, signed({ claims: without(name) })],
      [`${name} null`, signed({ claims: { ...claims, [name]: null } })],
      [`${name} array`, signed({ claims: { ...claims, [name]: [claims[name]] } })],
      [`${name} object`, signed({ claims: { ...claims, [name]: {} } })],
      [`${name} empty`, signed({ claims: { ...claims, [name]: '' } })],
      [`${name} true`, signed({ claims: { ...claims, [name]: true } })],
    ]),
    ...['sub', 'sid', 'jti'].flatMap((name): [string, string][] => [
      [`${name} number`, signed({ claims: { ...claims, [name]: 1 } })],
      [`${name} NUL`, signed({ claims: { ...claims, [name]: `${claims[name]}\0` } })],
      [`${name} line`, signed({ claims: { ...claims, [name]: `${claims[name]}\n` } })],
      [`${name} urn`, signed({ claims: { ...claims, [name]: `urn:uuid:${claims[name]}` } })],
      [`${name} upper`, signed({ claims: { ...claims, [name]: claims[name].toUpperCase() } })],
    ]),
    ['sub unknown', signed({ claims: { ...claims, sub: Bun.randomUUIDv7() } })],
    ['sid unknown', signed({ claims: { ...claims, sid: Bun.randomUUIDv7() } })],
    ['iss of another', signed({ claims: { ...claims, iss: 'taskwarden2' } })],
    ['aud of another', signed({ claims: { ...claims, aud: 'taskwarden' } })],
    ['aud list', signed({ claims: { ...claims, aud: ['x', claims.aud] } })],
    ['exp a string', signed({ claims: { ...claims, exp: String(claims.exp) } })],
    ['exp a fraction', signed({ claims: { ...claims, exp: claims.exp - 0.5 } })],
    ['exp -1', signed({ claims: { ...claims, exp: -1 } })],
    ['exp now', signed({ claims: { ...claims, exp: now } })],
    ['exp 1e400', signed({ claims: JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e400') })],
    ['lifetime of 24 h and a second', signed({ claims: { ...claims, exp: claims.iat + 86_401 } })],
    [
      'lifetime of a year without a scope',
      signed({ claims: { ...claims, exp: now + 31_536_000 } }),
    ],
    ['iat in 10 s', signed({ claims: { ...claims, iat: now + 10, exp: now + 100 } })],
    ['nbf in 10 s', signed({ claims: { ...claims, nbf: now + 10 } })],
    ['nbf a string', signed({ claims: { ...claims, nbf: 'x' } })],
    ['no typ', signed({ header: { alg: 'HS256' }, claims })],
    ['typ JWT', signed({ header: { ...head, typ: 'JWT' }, claims })],
    ['typ AT+JWT', signed({ header: { ...head, typ: 'AT+JWT' }, claims })],
    ...Object.entries({
      kid: '../../../../dev/null',
      jwk: { kty: 'oct', k: part('x') },
      jku: 'http://127.0.0.1/jwks',
      x5u: 'http://127.0.0.1/x',
      crit: ['exp'],
      b64: false,
      zip: 'DEF',
      cty: 'JWT',
    }).map(([name, value]): [string, string] => [
      `header ${name}`,
      signed({ header: { ...head, [name]: value }, claims }),
    ]),
    ['header array', signed({ header: [head], claims })],
    ['header null', signed({ header: null, claims })],
    ['header not JSON', signed({ header: '{', claims })],
    ['payload array', signed({ claims: [claims] })],
    ['payload null', signed({ claims: null })],
    ['payload not JSON', signed({ claims: '{' })],
    ['JWE', `${part({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`],
    ['two parts', `${header}.${payload}`],
    ['four parts', `${token}.AAAA`],
    ['a dot at the end', `${token}.`],
    ['another last character for the same bytes', `${token.slice(0, -1)}${sibling(token.at(-1))}`],
    ['padded', `${token}=`],
    ['standard base64', token.replace(/[-_]/g, '+')],
    ['space inside', `${header}. ${payload}.${signature}`],
    ['percent-encoded', token.replaceAll('.', '%2E')],
    ['a letter', 'x'],
    ['very long', 'x'.repeat(8000)],
    ['dots', '..'],
  ]
  const bearers = named
    .filter(([, text]) => text !== token)
    .map(([name, text]): [string, string] => [name, `Bearer ${text}`])
  return [
    ...bearers,
    ['no scheme', token],
    ['Basic', `Basic ${part(`x:${token}`)}`],
    ['Basic with the token', `Basic ${token}`],
    ['two tokens', `Bearer ${token}, Bearer ${token}`],
    ['Bearer twice', `Bearer Bearer ${token}`],
    ['quoted', `Bearer "${token}"`],
    ['a parameter', `Bearer token=${token}`],
    ['nothing', 'Bearer'],
    ['a comma after it', `Bearer ${token},`],
  ]
}

/** The last character of base64url has two unused bits: the result differs only in them. */
const sibling = (character = 'A') => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet[alphabet.indexOf(character) + 1] ?? 'B'
}
