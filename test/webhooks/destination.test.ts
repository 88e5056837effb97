import { describe, expect, test } from 'bun:test'
import { createDestinations, type Resolve } from '../../src/webhooks/destination.ts'
import { createSend } from '../../src/webhooks/send.ts'
import { createWebhookSecret, signatureHeaders } from '../../src/webhooks/signature.ts'
import { startReceiver } from '../support/receiver.ts'

const strict = { allowedHosts: [], allowsLoopback: false }
const resolving =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses.map((address) => ({ address }))
const message = { id: 'msg_x', type: 'task.upsert', body: '{}', timestamp: '' }

const sendTo = (url: string, resolve: Resolve, config = strict) =>
  createSend(createDestinations(config, resolve))(
    { url, secrets: [createWebhookSecret()] },
    message,
  )

describe('a host name', () => {
  test.each([
    [['127.0.0.1']],
    [['10.0.0.1']],
    [['::1']],
    [['::ffff:127.0.0.1']],
    [['64:ff9b::a00:1']],
    [['169.254.169.254']],
    [['93.184.215.14', '127.0.0.1']],
    [['2606:2800:21f::1', '::1']],
  ])('that resolves to %p is not connected to', async (addresses) => {
    const receiver = startReceiver()
    const outcome = await sendTo(`http://name.example:${receiver.port}/`, resolving(...addresses))
    expect(outcome).toMatchObject({ ok: false, status: null, detail: 'the address is not public' })
    expect(receiver.all).toHaveLength(0)
    await receiver.stop()
  })

  test.each(['localhost', 'localhost.', 'LOCALHOST'])('%s is not connected to', async (name) => {
    const receiver = startReceiver()
    const send = createSend(createDestinations(strict))
    const url = `http://${name}:${receiver.port}/`
    const outcome = await send({ url, secrets: [] }, message)
    expect([outcome.ok, receiver.all.length]).toEqual([false, 0])
    await receiver.stop()
  })

  test('without an address, or whose resolution fails, is not connected to', async () => {
    const detail = 'the host name has no address'
    expect(await sendTo('http://name.example/', resolving())).toMatchObject({ ok: false, detail })
    const failing: Resolve = async () => {
      throw new Error('ENOTFOUND')
    }
    expect(await sendTo('http://name.example/', failing)).toMatchObject({ ok: false, detail })
  })

  test('is resolved once: the connection is to the address that was checked', async () => {
    const receiver = startReceiver()
    let calls = 0
    // Another address the second time.
    const rebinding: Resolve = async () => [{ address: calls++ === 0 ? '127.0.0.1' : '10.0.0.1' }]
    const config = { allowedHosts: [], allowsLoopback: true }
    const url = `http://rebinding.example:${receiver.port}/path`
    const outcome = await sendTo(url, rebinding, config)
    expect([outcome.ok, calls]).toEqual([true, 1])
    expect(receiver.all[0]?.headers.host).toBe(`rebinding.example:${receiver.port}`)
    await receiver.stop()
  })

  test('with an address that does not respond is reached by its next one', async () => {
    const receiver = startReceiver()
    const config = { allowedHosts: [], allowsLoopback: true }
    // Nothing listens on this port of the first address.
    const url = `http://dual.example:${receiver.port}/`
    const outcome = await sendTo(url, resolving('127.9.9.9', '127.0.0.1'), config)
    expect([outcome.ok, receiver.all.length]).toEqual([true, 1])
    await receiver.stop()
  })

  test('that does not resolve in time ends the attempt', async () => {
    const never: Resolve = () => new Promise(() => {})
    const send = createSend(createDestinations(strict, never), 50)
    const outcome = await send({ url: 'https://name.example/', secrets: [] }, message)
    expect(outcome).toMatchObject({ status: null, detail: 'no response in time' })
  })
})

test('a receiver that does not respond in time has failed', async () => {
  const receiver = startReceiver(() => new Promise(() => {}))
  const config = { allowedHosts: ['127.0.0.1'], allowsLoopback: false }
  const send = createSend(createDestinations(config), 100)
  const outcome = await send({ url: receiver.url, secrets: [] }, message)
  expect(outcome).toMatchObject({ ok: false, status: null, detail: 'no response in time' })
  await receiver.stop()
})

test('a signature is that of the published test vector', () => {
  // standard-webhooks/standard-webhooks, libraries: the test of each library.
  const headers = signatureHeaders(
    {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1_614_265_330,
      body: '{"test": 2432232314}',
    },
    ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
  )
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})
