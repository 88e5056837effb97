import { expect, test } from 'bun:test'
import { claimsOf, head, signed } from '../support/forge.ts'
import { statements } from '../support/recorded-statements/log.ts'
import { protectedRoutes } from '../support/requests.ts'
import { filled, service } from '../support/service.ts'
import type { Random } from '../support/walk-pages.ts'
import { budget, eachCase } from './budget.ts'
import { leaksIn, wrongsOf } from './oracle.ts'
import { totals } from './totals.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ,"\t%é\u00a0'

/** Texts derived from valid tokens: characters replaced, removed, inserted, repeated or swapped, and parts mixed. */
const bent = (tokens: readonly string[], random: Random): string => {
  const parts = [0, 1, 2].map((at) => random.of(tokens).split('.')[at] ?? '')
  const characters = [...(random.chance(30) ? parts.join('.') : random.of(tokens))]
  for (let changes = random.below(4); changes >= 0; changes--) {
    const at = random.below(characters.length)
    const some = characters.slice(at, at + random.below(20))
    random.of([
      () => characters.splice(at, 1, random.of([...alphabet])),
      () => characters.splice(at, random.below(4)),
      () => characters.splice(at, 0, random.of([...alphabet])),
      () => characters.splice(at, 0, ...some),
      () => characters.splice(at, some.length, ...some.reverse()),
      () =>
        characters.splice(at, 1, characters[at]?.toUpperCase() ?? '', random.of(['', '=', '.'])),
      () => characters.splice(random.chance(50) ? at : characters.length - 1),
    ])()
  }
  return characters.join('')
}

/** A valid token with additions around it that a careless parser ignores. */
const framed = (token: string, random: Random): string =>
  random.of([
    `${token},`,
    `${token}, x`,
    `${token},${token}`,
    `${token}, Bearer ${token}`,
    `${token} x`,
    `${token};x=y`,
    `"${token}"`,
    `token=${token}`,
    `x, ${token}`,
    `${token}\u00a0`,
    `\u00a0${token}`,
  ])

/** Flips one bit of one decoded part, and encodes the part again as base64url. */
const turned = (token: string, random: Random): string => {
  const parts = token.split('.')
  const at = random.below(3)
  const bytes = Buffer.from(parts[at] ?? '', 'base64url')
  const byte = random.below(bytes.length)
  bytes[byte] = (bytes[byte] ?? 0) ^ (1 << random.below(8))
  return parts.with(at, bytes.toString('base64url')).join('.')
}

const odd = (random: Random, now: number): unknown =>
  random.of<() => unknown>([
    () => undefined,
    () => null,
    () => true,
    () => '',
    () => random.of(['x', '\0', 'urn:uuid:', '*', '%', "' or 1=1--", '../..', 'null', 'admin']),
    () => random.of([-1, 0, 0.5, 1, now + 0.5, 2 ** 31, 2 ** 53, 2 ** 63, -(2 ** 31), 1e300]),
    () => String(now + 60),
    () => now + random.below(200_000) - 100_000,
    () => [],
    () => ({}),
    () => [Bun.randomUUIDv7()],
    () => Bun.randomUUIDv7(),
    () => Bun.randomUUIDv7().toUpperCase(),
    () => 'x'.repeat(random.below(1000)),
    () => random.of(['tasks:read', 'tasks:read tasks:write', 'tasks:write', 'tasks:read ', 'x']),
    () => ({ toString: 'x', valueOf: 1, __proto__: null }),
  ])()

const names = ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'nbf', 'scope', 'kid', 'alg']
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const isWhole = (value: unknown) => Number.isInteger(value) && Number(value) >= 0

/** An independent implementation of the contract's rules for claims. */
const isOurs = (header: object, claims: Record<string, unknown>): boolean => {
  const now = Date.now() / 1000
  const { iss, aud, sub, sid, jti, iat, exp, nbf, scope } = claims
  const life = isWhole(exp) && isWhole(iat) ? Number(exp) - Number(iat) : Number.NaN
  return (
    Bun.deepEquals(header, head, true) &&
    iss === 'taskwarden' &&
    aud === 'taskwarden-api' &&
    [sub, sid, jti].every((id) => typeof id === 'string' && uuid.test(id)) &&
    isWhole(iat) &&
    isWhole(exp) &&
    Number(iat) <= now + 5 &&
    Number(exp) > now &&
    (nbf === undefined || (typeof nbf === 'number' && nbf <= now + 5)) &&
    (scope === undefined
      ? life <= 86_400
      : (scope === 'tasks:read' || scope === 'tasks:read tasks:write') && life <= 31_536_000)
  )
}

/** A token of the service has a few hundred characters. Larger parts are refused before they are decoded. */
const isSmall = (token: string): boolean => {
  const [header = '', payload = ''] = token.split('.')
  return header.length <= 200 && payload.length <= 2000
}

/** The routes of a run: every route that needs a token, with a valid body. */
const targets = (app: Parameters<typeof protectedRoutes>[0]) =>
  protectedRoutes(app).map(({ method, path, body }) => ({ method, path: filled(path), body }))

test('a mutated token is refused on every route without a statement', async () => {
  const { app, call, someone, log } = await service({ RATE_LIMIT: '1000000' })
  const people = await Promise.all([someone(), someone(), someone()])
  const made = await people[0]?.call('POST', '/api/auth/tokens', { name: 'a', scope: 'tasks:read' })
  const tokens = [...people.map(({ token }) => token), made?.body.access_token as string]
  const known = new Set(tokens)
  const routes = targets(app)
  const count = totals('tokens', 'tokens: mutated texts and bits')

  await eachCase('bent', budget(20_000, 100_000), 1, async (random, at) => {
    const token = random.of([
      () => bent(tokens, random),
      () => bent(tokens, random),
      () => turned(random.of(tokens), random),
      () => framed(random.of(tokens), random),
    ])()
    const scheme = random.of([
      'Bearer ',
      'Bearer ',
      'bearer ',
      'BEARER  ',
      'Basic ',
      'Bearer\t',
      '',
    ])
    const headers = new Headers()
    try {
      headers.set('authorization', scheme + token)
    } catch {
      return
    }
    const sent = /^bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1]
    if (sent !== undefined && known.has(sent)) return
    const { method, path, body } = random.of(routes)
    statements.length = 0

    const answer = await call(method, path, { body, headers: Object.fromEntries(headers) })

    count.tried(answer.status === 401)
    const what = `${method} ${path} with ${scheme}${token}`
    if (answer.status !== 401) count.wrong(`${answer.status}: ${what}`, at)
    if (statements.length > 0) count.wrong(`a statement: ${what}`, at)
    count.allWrong(wrongsOf(answer, { canaries: tokens }), what, at)
    count.allWrong(leaksIn(log, tokens), what, at)
  })

  count.matches()
})

test('of tokens signed with the secret, exactly those with valid claims are accepted', async () => {
  const { call, someone, log } = await service({ RATE_LIMIT: '1000000' })
  const ada = await someone()
  const claims = claimsOf(ada.token)
  const count = totals('tokens', 'tokens: valid signature, mutated claims and header')
  let taken = 0

  await eachCase('signed', budget(10_000, 50_000), 1, async (random, at) => {
    const now = Math.floor(Date.now() / 1000)
    const bentClaims: Record<string, unknown> = { ...claims }
    for (let changes = random.below(3); changes >= 0; changes--)
      bentClaims[random.of(names)] = odd(random, now)
    const header = random.chance(80)
      ? head
      : { ...head, [random.of(['alg', 'typ', 'kid', 'jwk', 'crit', 'b64'])]: odd(random, now) }
    // As a parser reads it: JSON omits undefined values.
    const read = JSON.parse(JSON.stringify({ header, claims: bentClaims }))
    const token = signed({ header, claims: bentClaims })
    const ours = isOurs(read.header, read.claims) && isSmall(token)
    const { sub, sid } = read.claims
    const isLive = ours && sub === claims.sub && sid === claims.sid
    statements.length = 0

    const answer = await call('GET', '/api/auth/me', { token })

    count.tried(answer.status === 401)
    if (answer.status === 200) taken++
    const what = JSON.stringify(read).slice(0, 600)
    if (answer.status !== (isLive ? 200 : 401)) count.wrong(`${answer.status}: ${what}`, at)
    // If all else is valid, only the statement finds out that the session does not exist.
    if (!ours && statements.length > 0) count.wrong(`a statement: ${what}`, at)
    count.allWrong(wrongsOf(answer, { canaries: [token] }), what, at)
    count.allWrong(leaksIn(log, [token]), what, at)
  })

  count.matches()
  // The oracle accepts some tokens too. Otherwise a service that refuses everything would pass.
  if (count.row.tried > 1000) expect(taken).toBeGreaterThan(10)
})
