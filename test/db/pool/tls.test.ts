import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { sql } from 'drizzle-orm'
import { openDatabase } from '../../../src/db/client.ts'
import { DatabaseUnavailable, runRead } from '../../../src/db/errors.ts'
import { readServerInfo } from '../../../src/db/server-info.ts'
import { serverUrl, until } from '../../support/databases.ts'
import { hasTlsServer, tlsServer } from '../../support/tls-server.ts'

/**
 * A server that accepts TLS only. Its certificate is valid for `localhost` and for 0.0.0.0, but not for 127.0.0.1.
 * 0.0.0.0 stands for a public address, because it is not among the addresses that are known to be private.
 */
const names = 'DNS:localhost,IP:0.0.0.0'

describe.skipIf(!(serverUrl && hasTlsServer))('a server with TLS', () => {
  let server: Awaited<ReturnType<typeof tlsServer>>
  beforeAll(async () => {
    server = await tlsServer(names)
  }, 60_000)
  afterAll(() => server?.[Symbol.asyncDispose]())

  const opened = (host: string, query: string, timeoutMs = 5_000) => {
    const url = `postgres://postgres@${host}:${server.port}/postgres${query}`
    return openDatabase({
      kind: 'postgres',
      url,
      migrationUrl: url,
      poolMax: 2,
      timeoutMs,
      prepare: 'auto',
    })
  }

  /** `tls` or `plain` if a statement succeeds, otherwise the error code. A migration must have the same outcome. */
  const outcome = async (host: string, query: string) => {
    const database = await opened(host, query)
    const codeOf = (error: unknown) =>
      error instanceof DatabaseUnavailable ? error.code : String(error)
    try {
      const asked = await readServerInfo(database.db).then(
        ({ tls }) => (tls ? 'tls' : 'plain'),
        codeOf,
      )
      const migrated = await database.migrate().then(() => 'migrated', codeOf)
      expect(migrated).toBe(asked === 'tls' ? 'migrated' : asked)
      return asked
    } finally {
      await database.close()
    }
  }

  const [unknownCa, wrongName] = ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID']

  test('verify-full accepts only the right CA and name', async () => {
    const { ca, otherCa } = server
    const mode = '?sslmode=verify-full'

    expect(await outcome('localhost', `${mode}&sslrootcert=${ca}`)).toBe('tls')
    expect(await outcome('localhost', `${mode}&sslrootcert=${otherCa}`)).toBe(unknownCa)
    expect(await outcome('localhost', mode)).toBe(unknownCa)
    expect(await outcome('127.0.0.1', `${mode}&sslrootcert=${ca}`)).toBe(wrongName)
  })

  test('verify-ca checks the CA and not the name', async () => {
    const mode = '?sslmode=verify-ca'

    expect(await outcome('127.0.0.1', `${mode}&sslrootcert=${server.ca}`)).toBe('tls')
    expect(await outcome('127.0.0.1', `${mode}&sslrootcert=${server.otherCa}`)).toBe(unknownCa)
  })

  test('require verifies like verify-full, except on loopback', async () => {
    const mode = '?sslmode=require'

    expect(await outcome('0.0.0.0', `${mode}&sslrootcert=${server.ca}`)).toBe('tls')
    expect(await outcome('0.0.0.0', `${mode}&sslrootcert=${server.otherCa}`)).toBe(unknownCa)
    expect(await outcome('0.0.0.0', mode)).toBe(unknownCa)
    expect(await outcome('127.0.0.1', mode)).toBe('tls')
  })

  test('without sslmode, a public host is verified, and sslrootcert verifies every host', async () => {
    const { ca, otherCa } = server

    expect(await outcome('0.0.0.0', '')).toBe(unknownCa)
    expect(await outcome('0.0.0.0', `?sslrootcert=${ca}`)).toBe('tls')
    expect(await outcome('localhost', `?sslrootcert=${ca}`)).toBe('tls')
    expect(await outcome('localhost', `?sslrootcert=${otherCa}`)).toBe(unknownCa)
    expect(await outcome('127.0.0.1', `?sslrootcert=${ca}`)).toBe(wrongName)
  })

  test('the host that is connected to is verified, wherever it is in the URL', async () => {
    const { ca } = server

    expect(await outcome('localhost', '?host=0.0.0.0')).toBe(unknownCa)
    expect(await outcome('localhost', `?host=127.0.0.1&sslrootcert=${ca}`)).toBe(wrongName)
    expect(await outcome('127.0.0.1', `?host=localhost&sslrootcert=${ca}`)).toBe('tls')
  })

  test('no-verify skips verification, and disable is refused by this server', async () => {
    expect(await outcome('127.0.0.1', '?sslmode=no-verify')).toBe('tls')
    expect(await outcome('0.0.0.0', '?sslmode=prefer')).toBe('tls')
    expect(await outcome('0.0.0.0', '?sslmode=disable')).toBe('28000')
    expect(await outcome('127.0.0.1', '')).toBe('28000')
  })

  test('a statement is cancelled over TLS at its deadline', async () => {
    const database = await opened('localhost', `?sslrootcert=${server.ca}`, 3_000)
    await until(() =>
      database.ping().then(
        () => true,
        () => false,
      ),
    )

    // Without statement_timeout, only the cancel request can stop it.
    await database.db.execute(sql`set statement_timeout = 0`)
    const asleep = runRead(() => database.db.execute(sql`select pg_sleep(60)`))

    await expect(asleep).rejects.toMatchObject({ code: 'deadline' })
    await until(async () => {
      const running = await server.admin`select from pg_stat_activity
        where query like 'select pg_sleep%' and state = 'active'`
      return running.length === 0
    })
    await database.close()
  })
})
