import { expect, test } from 'bun:test'
import { service } from './support/service.ts'

const password = 'correct horse battery'

test('two services in one process do not count each other’s requests', async () => {
  const [here, there] = [await service({ RATE_LIMIT: '3' }), await service({ RATE_LIMIT: '5' })]
  const { token } = await here.someone()
  const leftAt = async ({ call }: typeof here) =>
    (await call('GET', '/api/tasks', { token })).headers.get('ratelimit')?.match(/r=(\d+)/)?.[1]

  expect([await leftAt(here), await leftAt(here), await leftAt(there)]).toEqual(['2', '1', '4'])
  await leftAt(here)
  expect((await here.call('GET', '/api/tasks', { token })).status).toBe(429)
  expect((await there.call('GET', '/api/tasks', { token })).status).toBe(200)
})

test('two services in one process count sign-in attempts separately', async () => {
  const one = { LOGIN_ATTEMPTS: '1' }
  const [here, there] = [await service(one), await service(one)]
  const { email } = await here.someone()
  const signIn = async ({ call }: typeof here, text: string) =>
    (await call('POST', '/api/auth/login', { body: { email, password: text } })).status

  expect([await signIn(here, 'wrong'), await signIn(here, password)]).toEqual([401, 429])
  expect(await signIn(there, password)).toBe(200)
})

test('two services in one process share no secret, issuer, verified token or lifetime', async () => {
  const here = await service({ JWT_TTL_SECONDS: '600' })
  const there = await service({ JWT_SECRET: 'another secret that is long enough for the tests' })
  const [ada, bob] = [await here.someone(), await there.someone()]
  const statusAt = async ({ call }: typeof here, token: string) =>
    (await call('GET', '/api/tasks', { token })).status

  expect(await statusAt(here, ada.token)).toBe(200)
  expect(await statusAt(there, bob.token)).toBe(200)
  expect(await statusAt(here, bob.token)).toBe(401)
  expect(await statusAt(there, ada.token)).toBe(401)
})

test('two services in one process have their own settings for sign-up, passwords and bodies', async () => {
  const closed = await service({ REGISTRATION: 'closed', BODY_LIMIT: '1024' })
  const open = await service({ PASSWORD_MIN: '20' })
  const signUp = async ({ call }: typeof open, text: string) =>
    (
      await call('POST', '/api/auth/register', {
        body: { email: `${Bun.randomUUIDv7()}@b`, password: text },
      })
    ).status

  expect(await signUp(closed, password)).toBe(403)
  expect(await signUp(open, 'kx7!qp2zkx7!qp2zkx7')).toBe(422)
  expect(await signUp(open, 'kx7!qp2zkx7!qp2zkx7!')).toBe(201)
  const body = { email: 'x'.repeat(2000), password: 'x' }
  expect((await closed.call('POST', '/api/auth/login', { body })).status).toBe(413)
  expect((await open.call('POST', '/api/auth/login', { body })).status).toBe(401)
})

test('two services in one process have their own logs', async () => {
  const [here, there] = [await service(), await service()]

  await here.someone()
  expect(here.log.length).toBeGreaterThan(0)
  expect(there.log).toEqual([])
})
