import { expect, test } from 'bun:test'
import { createRefreshTokens } from '../../src/auth/refresh-tokens/token.ts'
import { secret } from '../support/forge.ts'
import { statements } from '../support/recorded-statements/log.ts'
import { service } from '../support/service.ts'
import type { Random } from '../support/walk-pages.ts'
import { budget, eachCase } from './budget.ts'
import { leaksIn, wrongsOf } from './oracle.ts'
import { totals } from './totals.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ,"\t%é\u00a0'
const tokens = createRefreshTokens([secret])
const foreign = createRefreshTokens(['another secret that is long enough for the tests'])

/** A session as the service has it. `newest` is the generation of its newest refresh token. */
type Session = { userId: string; sessionId: string; newest: number }

/** Texts derived from valid tokens: characters replaced, removed, inserted or repeated, and halves of two tokens. */
const bent = (some: readonly string[], random: Random): string => {
  const one = random.of(some)
  const other = random.of(some)
  const at = random.below(one.length)
  return random.of([
    () => one.slice(0, at),
    () => one.slice(at),
    () => one.slice(0, at) + other.slice(at),
    () => one.slice(0, at) + random.of([...alphabet]) + one.slice(at + 1),
    () => one.slice(0, at) + random.of([...alphabet]) + one.slice(at),
    () => one + random.of([...alphabet]),
    () => random.of([...alphabet]) + one,
    () => one.toUpperCase(),
    () => one.replace('twr_', random.of(['', 'twr', 'TWR_', 'twr_twr_'])),
    () => [...one].reverse().join(''),
    () => `${one},${other}`,
  ])()
}

/** Flips one bit of the decoded token. */
const turned = (token: string, random: Random): string => {
  const bytes = Buffer.from(token.slice(4), 'base64url')
  const at = random.below(bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  return `twr_${bytes.toString('base64url')}`
}

/** The rules of the contract, for refreshes that are less than a minute apart. */
const accepts = (session: Session, generation: number): boolean => {
  if (generation < session.newest - 2) return false
  session.newest = Math.max(session.newest, generation + 1)
  return true
}

test('of forged, truncated, replayed and reordered refresh tokens, exactly the valid ones are accepted', async () => {
  const { call, someone, log } = await service({ RATE_LIMIT: '1000000' })
  const sessionOf = async (): Promise<Session> => {
    const { email, password } = await someone()
    const { body } = await call('POST', '/api/auth/login', { body: { email, password } })
    const { userId = '', sessionId = '' } = tokens.verify(body.refresh_token) ?? {}
    return { userId, sessionId, newest: 0 }
  }
  const sessions = await Promise.all([sessionOf(), sessionOf(), sessionOf()])
  const count = totals('refresh-tokens', 'refresh tokens: forged, truncated, replayed, reordered')
  let accepted = 0

  await eachCase('refresh', budget(5000, 100_000), 1, async (random, at) => {
    const session = random.of(sessions)
    const { userId, sessionId, newest } = session
    const signedAs = (generation: number) => tokens.sign({ userId, sessionId, generation })
    const valid = [0, 1, 2].map((age) => signedAs(Math.max(0, newest - age)))
    const old = Math.max(0, newest - random.below(6))
    const other = random.of(sessions)
    const token = random.chance(25)
      ? signedAs(old)
      : random.of([
          () => bent(valid, random),
          () => bent(valid, random),
          () => turned(random.of(valid), random),
          () => foreign.sign({ userId, sessionId, generation: newest }),
          () =>
            tokens.sign({ userId: other.userId, sessionId: Bun.randomUUIDv7(), generation: old }),
          () => tokens.sign({ userId: Bun.randomUUIDv7(), sessionId, generation: old }),
        ])()
    // A mutation may result in a valid token.
    const genuine = sessions
      .flatMap((one) =>
        [0, 1, 2, 3, 4, 5, 6].map((age) => ({ ...one, generation: one.newest - age })),
      )
      .find((one) => one.generation >= 0 && tokens.sign(one) === token)
    const owner = sessions.find((one) => one.sessionId === genuine?.sessionId)
    const isAccepted =
      genuine !== undefined && owner !== undefined && accepts(owner, genuine.generation)
    statements.length = 0

    const answer = await call('POST', '/api/auth/refresh', { body: { refresh_token: token } })

    count.tried(answer.status === 401)
    if (answer.status === 200) accepted++
    if (answer.status !== (isAccepted ? 200 : 401)) count.wrong(`${answer.status}: ${token}`, at)
    const next = isAccepted
      ? tokens.sign({ ...genuine, generation: genuine.generation + 1 })
      : undefined
    if (answer.body.refresh_token !== next) count.wrong(`another successor: ${token}`, at)
    // Only a valid signature is worth a statement.
    if (tokens.verify(token) === undefined && statements.length > 0)
      count.wrong(`a statement: ${token}`, at)
    if (answer.status !== 200)
      count.allWrong(
        wrongsOf(answer, { canaries: [token].filter((one) => one.length > 20) }),
        token,
        at,
      )
    count.allWrong(leaksIn(log, valid), token, at)
  })

  count.matches()
  // A service that refuses everything would pass otherwise.
  expect(accepted).toBeGreaterThan(500)
})
