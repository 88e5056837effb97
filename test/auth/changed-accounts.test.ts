import { expect, test } from 'bun:test'
import { PGlite } from '@electric-sql/pglite'
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/pglite'
import { createFederatedUserRepository } from '../../src/auth/issuers/repository.ts'
import { createSignInRepository } from '../../src/auth/sign-in/repository.ts'
import type { Db } from '../../src/db/database.ts'
import { users } from '../../src/db/schema.ts'
import { holdPasswordHashing } from '../support/hashing.ts'
import { unusedLocksIn } from '../support/recorded-statements/locks.ts'
import { database, operatedAccount, rowsOf, sentBy, service } from '../support/service.ts'

/*
 * An account that changes between two statements of a request. On PostgreSQL, test/cli/commands.test.ts also lets the
 * statements wait for each other.
 */

const settings = { ttlSeconds: 86_400, sessionMaxDays: 30 }
const changes = [
  ['was disabled', { disabled_at: '2026-01-01T00:00:00.000Z' }],
  ['has another password', { password_hash: 'another' }],
] as const

test.each(changes)(
  'no session starts if the account %s after the password was verified',
  async (_, change) => {
    const { db } = await database()
    const ada = await (await service()).someone()
    const signIns = createSignInRepository(db, settings)
    const account = await signIns.credentials(ada.email)

    await db.update(users).set(change).where(eq(users.id, ada.id))

    const hash = String(account?.password_hash)
    const verified = { user: account!.user, verifiedHash: hash, newHash: hash }
    expect(await signIns.signIn(verified, null)).toBeUndefined()
    expect((await rowsOf(ada.id)).sessions).toHaveLength(1)
  },
)

test.each(changes)(
  'a sign-in fails like any other if the account %s while the password is verified',
  async (_, change) => {
    const { db } = await database()
    const { call, someone, log } = await service()
    const { id, email, password } = await someone()
    using hashing = holdPasswordHashing()

    const login = call('POST', '/api/auth/login', { body: { email, password } })
    await hashing.started
    await db.update(users).set(change).where(eq(users.id, id))
    hashing.release()

    const { status, body } = await login
    expect([status, body.code]).toEqual([401, 'invalid-credentials'])
    expect((await rowsOf(id)).sessions).toHaveLength(1)
    expect(log).toContainEqual(expect.objectContaining({ event: 'sign-in failed', user_id: id }))
  },
)

test('a sign-in to a disabled account is logged as failed, and writes nothing', async () => {
  const { db } = await database()
  const { call, someone, log } = await service()
  const { id, email, password } = await someone()
  await db.update(users).set({ disabled_at: '2026-01-01T00:00:00.000Z' }).where(eq(users.id, id))

  const sent = await sentBy(async () => {
    const { status } = await call('POST', '/api/auth/login', { body: { email, password } })
    expect(status).toBe(401)
  })

  expect(sent.filter(({ statement }) => !statement.startsWith('select'))).toEqual([])
  expect(log).toContainEqual(expect.objectContaining({ event: 'sign-in failed', user_id: id }))
})

test('a federated user who is disabled during the request gets no session', async () => {
  const { db } = await database()
  const [issuer, subject] = ['https://idp.example.test', Bun.randomUUIDv7()]
  const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()
  const { userId } = await createFederatedUserRepository(db).findOrCreate(
    issuer,
    subject,
    inHours(1),
  )
  const before = (await rowsOf(userId)).sessions

  const changing = beforeWrites(db, () =>
    db.update(users).set({ disabled_at: '2026-01-01T00:00:00.000Z' }).where(eq(users.id, userId)),
  )
  await createFederatedUserRepository(changing).findOrCreate(issuer, subject, inHours(2))

  expect((await rowsOf(userId)).sessions).toEqual(before)
})

test("every statement of an operator locks the user's row", async () => {
  const sent: string[] = []
  const query = async (text: string) => {
    sent.push(text)
    return { rows: [] }
  }
  const client = Object.assign(Object.create(PGlite.prototype), { query })
  const db = drizzle(client, { casing: 'snake_case' }) as unknown as Db
  const account = operatedAccount(db, Bun.randomUUIDv7())

  await account.disable()
  await account.enable()
  await account.replacePassword('hash')
  await account.erase()

  expect(sent).toHaveLength(6)
  for (const statement of sent) {
    expect(statement).toContain('for update')
    expect([statement, unusedLocksIn(statement)]).toEqual([statement, []])
  }
})

/** A database that runs `change` before each statement that starts with `db.with(…)`. */
const beforeWrites = (db: Db, change: () => PromiseLike<unknown>): Db => {
  const wrapped = <T extends object>(builder: T): T =>
    new Proxy(builder, {
      get(target, name) {
        const member = Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        if (name === 'then')
          return async (...settle: unknown[]) => {
            await change()
            return member.apply(target, settle)
          }
        return (...args: unknown[]) => {
          const result = member.apply(target, args)
          return typeof result === 'object' && result !== null ? wrapped(result) : result
        }
      },
    })
  return new Proxy(db, {
    get: (target, name) => {
      const member = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return name === 'with'
        ? (...args: unknown[]) => wrapped(member.apply(target, args))
        : member.bind(target)
    },
  })
}
