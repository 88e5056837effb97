import { expect, test } from 'bun:test'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import {
  copyParsers,
  createDriverClient,
  createParserModel,
  interceptSettlement,
  type PendingQuery,
  sendCancelRequest,
  sendStatement,
} from '../../../src/db/pool/driver.ts'
import { postgresStub, stalePlan } from '../../support/postgres-stub.ts'

const driver = await Bun.file('node_modules/postgres/package.json').json()

/** Fails with the member of the driver that changed. */
const relyOn = (holds: boolean, member: string, reason: string) => {
  if (!holds)
    throw new Error(
      `postgres.js ${driver.version} changed ${member}, which the pool relies on: ${reason}`,
    )
}

const settled = <Result>(work: Promise<Result>) =>
  Promise.race([
    work.then(
      () => 'resolved',
      (error) => String(error.code ?? error.message),
    ),
    Bun.sleep(2_000).then(() => 'pending'),
  ])

/** A client of a stub server, and the number of sockets that it has asked for. */
const connected = async () => {
  const stub = await postgresStub()
  let sockets = 0
  let isRefusing = false
  const client = createDriverClient(
    { host: '127.0.0.1', port: stub.port, user: 'a', database: 'a', fetch_types: false },
    {
      pipelineMax: 8,
      openSocket: async () => {
        sockets++
        if (isRefusing) throw Object.assign(new Error('refused'), { code: 'REFUSED' })
        const socket = createConnection(stub.port, '127.0.0.1')
        await once(socket, 'connect')
        return socket
      },
    },
  )
  return {
    stub,
    client,
    send: () =>
      sendStatement(client, 'select', [], { prepare: true }) as unknown as PendingQuery<unknown[]>,
    sockets: () => sockets,
    refuse: () => {
      isRefusing = true
    },
    [Symbol.dispose]: () => {
      void client.end({ timeout: 0 })
      stub[Symbol.dispose]()
    },
  }
}

test('`socket`: every connection of the driver comes from our function, and its error rejects the query', async () => {
  using one = await connected()

  const first = await settled(one.send())

  relyOn(first === 'resolved', 'the option `socket`', `the first query is ${first}`)
  relyOn(one.sockets() === 1, 'the option `socket`', `it was called ${one.sockets()} times`)

  one.refuse()
  one.stub[Symbol.dispose]()
  await Bun.sleep(50)
  const second = await settled(one.send())
  relyOn(
    second === 'REFUSED',
    'the option `socket`',
    `a failed reconnect must reject the query, and it is ${second}`,
  )
})

test('`simple`: a prepared statement without values is not sent by the simple protocol', async () => {
  using one = await connected()

  await settled(one.send())

  const isSimple = one.stub.received.includes('Q')
  relyOn(!isSimple, 'the option `simple`', 'a simple query cannot be prepared')
})

test('`canceller`: a cancel of a running query sends a request and resolves when it was delivered', async () => {
  using one = await connected()
  await one.send()
  one.stub.executions.push(undefined)
  const running = one.send()
  const ended = settled(running)
  while (one.stub.executed() < 2) await Bun.sleep(1)

  relyOn(
    typeof running.canceller === 'function',
    '`canceller` of a query',
    'its promise tells when a cancel request was delivered or failed',
  )
  const delivered = await settled(sendCancelRequest(running) ?? Promise.resolve())

  relyOn(delivered === 'resolved', '`canceller` of a query', `its promise is ${delivered}`)
  expect(one.stub.cancelRequests).toEqual([{ pid: 4711, secret: 815 }])
  void one.client.end({ timeout: 0 })
  await ended
})

test('`canceller`: a cancel request that fails rejects its promise, and nothing else', async () => {
  using one = await connected()
  await one.send()
  one.stub.executions.push(undefined)
  const running = one.send()
  const ended = settled(running)
  while (one.stub.executed() < 2) await Bun.sleep(1)
  one.refuse()

  const failed = await settled(sendCancelRequest(running) ?? Promise.resolve())

  relyOn(
    !['resolved', 'pending'].includes(failed),
    '`canceller` of a query',
    `a cancel request without a connection must reject, and it is ${failed}`,
  )
  void one.client.end({ timeout: 0 })
  await ended
})

test('`canceller`: a cancel before the connection is open rejects the query', async () => {
  using one = await connected()
  const waiting = one.send()
  const ended = settled(waiting)
  await Promise.resolve()

  await settled(sendCancelRequest(waiting) ?? Promise.resolve())

  const result = await ended
  relyOn(result === '57014', '`canceller` of a query', `a query without a connection is ${result}`)
})

test('`retried`: a pipelined read with a stale plan is rejected, and any other is sent again', async () => {
  using one = await connected()
  await one.send()
  one.stub.executions.push(stalePlan)
  const alone = await settled(one.send())
  expect([alone, one.stub.executed()]).toEqual(['resolved', 3])

  one.stub.executions.push(stalePlan)
  const retryError = new Error('not sent again')
  const ignored = { onRows: () => undefined, onError: () => {} }
  const pipelined = await settled(interceptSettlement(one.send(), retryError, ignored))

  relyOn(
    pipelined !== 'resolved' && one.stub.executed() === 4,
    '`retried` of a query',
    'a pipelined read that the driver sends again gives the rows of one query to another',
  )
})

test('`resolve` and `reject`: a query settles through the functions that replace them', async () => {
  using one = await connected()
  const seen: unknown[] = []
  const intercepted = (onRows: () => Error | undefined) =>
    interceptSettlement(one.send(), new Error('not sent again'), {
      onRows,
      onError: (error) => seen.push(error),
    })

  const resolved = await settled(intercepted(() => void seen.push('rows')))
  relyOn(
    resolved === 'resolved' && seen[0] === 'rows',
    '`resolve` of a query',
    `it was not called with the rows; the query is ${resolved}`,
  )

  const refused = await settled(intercepted(() => new Error('refused by us')))
  relyOn(
    refused === 'refused by us' && seen.length === 2,
    '`reject` of a query',
    `rows that are refused must reject the query, and it is ${refused}`,
  )
})

test('`max_pipeline`: no more statements are sent before the first has a response', async () => {
  using one = await connected()
  await one.send()
  one.stub.executions.push(undefined)
  const ended = Promise.all(Array.from({ length: 20 }, () => settled(one.send())))
  while (one.stub.executed() < 2) await Bun.sleep(1)
  await Bun.sleep(50)

  const sent = one.stub.received.filter((type) => type === 'B').length - 1
  relyOn(
    sent <= 9,
    'the option `max_pipeline`',
    `it must limit 20 statements to 8, and ${sent} were sent`,
  )
  void one.client.end({ timeout: 0 })
  await ended
})

test('`options.parsers` and `options.serializers`: those of the model are copied to a client', () => {
  const [model, client] = [createParserModel(), createParserModel()]
  const keep = (value: unknown) => value
  Object.assign(model.options.parsers, { 1184: keep })
  Object.assign(model.options.serializers, { 3802: keep })

  copyParsers(model, client)

  relyOn(
    client.options.parsers[1184] === keep && client.options.serializers[3802] === keep,
    '`options.parsers` or `options.serializers`',
    'timestamps and JSON must stay text',
  )
})
