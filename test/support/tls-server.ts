import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { freePort } from './redis.ts'

const root = '/usr/lib/postgresql'
const programs = (() => {
  try {
    const newest = readdirSync(root).toSorted((a, b) => Number(b) - Number(a))[0]
    return newest && join(root, newest, 'bin')
  } catch {
    return undefined
  }
})()

/** Whether this machine can start PostgreSQL with TLS. */
export const hasTlsServer =
  programs !== undefined && Bun.which('openssl') !== null && Bun.which('setpriv') !== null

const isRoot = userInfo().uid === 0
/** PostgreSQL refuses to run as root. The server ends when the process that started it ends in any way. */
const asPostgres = [
  ...['setpriv', '--pdeathsig', 'INT'],
  ...(isRoot ? ['--reuid=postgres', '--regid=postgres', '--init-groups'] : []),
]

const done = async (command: string[], cwd: string) => {
  const child = Bun.spawn(command, { cwd, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  if ((await child.exited) !== 0)
    throw new Error(`${command[0]} failed: ${await child.stderr.text()}`)
}

/** Creates a CA with openssl in a folder. `sign` writes the files of a certificate for these names. */
const authority = async (folder: string, name: string) => {
  const path = (file: string) => join(folder, `${name}-${file}`)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await done(
    [
      ...['openssl', 'req', '-x509', ...key, '-days', '2', '-subj', `/CN=${name}`],
      ...['-addext', 'keyUsage=critical,keyCertSign', '-keyout', path('key'), '-out', path('crt')],
    ],
    folder,
  )
  return {
    file: path('crt'),
    sign: async (names: string) => {
      await Bun.write(path('names'), `subjectAltName=${names}\n`)
      const request = ['-subj', '/CN=database', '-keyout', 'server.key', '-out', 'server.csr']
      await done(['openssl', 'req', ...key, ...request], folder)
      await done(
        [
          ...['openssl', 'x509', '-req', '-in', 'server.csr', '-days', '2'],
          ...['-CA', path('crt'), '-CAkey', path('key'), '-CAcreateserial'],
          ...['-extfile', path('names'), '-out', 'server.crt'],
        ],
        folder,
      )
    },
  }
}

/**
 * A PostgreSQL server that accepts TLS only. `names` are the names of its certificate in the notation of openssl
 * (`DNS:localhost`). `ca` is the file of the CA that signed it, `otherCa` the file of another CA.
 */
export const tlsServer = async (names: string) => {
  const folder = mkdtempSync(join(tmpdir(), 'taskwarden-tls-'))
  // The user of the server must read these files.
  chmodSync(folder, 0o755)
  const [ours, other] = [await authority(folder, 'ours'), await authority(folder, 'other')]
  await ours.sign(names)

  const data = join(folder, 'data')
  const made = Bun.spawnSync(['mkdir', data])
  if (!made.success) throw new Error('no folder for PostgreSQL')
  const owner = (flag: string) => Number(Bun.spawnSync(['id', flag, 'postgres']).stdout.toString())
  const own = (path: string) => isRoot && chownSync(path, owner('-u'), owner('-g'))
  own(data)
  const initdb = [join(programs ?? '', 'initdb'), '-D', data, '-U', 'postgres', '-A', 'trust']
  await done([...asPostgres, ...initdb, '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], folder)
  await Bun.write(join(data, 'pg_hba.conf'), 'hostssl all all all trust\nlocal all all trust\n')
  for (const file of ['server.key', 'server.crt']) {
    await Bun.write(join(data, file), Bun.file(join(folder, file)))
    chmodSync(join(data, file), 0o600)
    own(join(data, file))
  }

  const port = freePort()
  const settings = ['ssl=on', 'fsync=off', 'max_connections=30'].flatMap((set) => ['-c', set])
  const child = Bun.spawn(
    [
      ...asPostgres,
      ...[join(programs ?? '', 'postgres'), '-D', data, '-h', '*', '-p', String(port)],
      ...['-k', data, ...settings],
    ],
    { cwd: folder, stdin: 'ignore', stdout: 'ignore', stderr: Bun.file(join(folder, 'log')) },
  )
  /** A connection without TLS for a test, independent of the service. */
  const admin = postgres({ host: data, port, user: 'postgres', max: 1, onnotice: () => {} })
  const answers = () =>
    admin`select 1`.then(
      () => true,
      () => false,
    )
  while (!(await answers())) {
    if (child.exitCode !== null) throw new Error(await Bun.file(join(folder, 'log')).text())
    await Bun.sleep(20)
  }

  return {
    port,
    admin,
    ca: ours.file,
    otherCa: other.file,
    async [Symbol.asyncDispose]() {
      await admin.end({ timeout: 1 })
      child.kill('SIGINT')
      await child.exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
