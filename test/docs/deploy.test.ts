import { expect, test } from 'bun:test'
import { readConfig } from '../../src/config/config.ts'
import { idleSeconds } from '../../src/http/server.ts'
import { service } from '../support/service.ts'

/* The files of the platforms use only settings and commands of the binary, and give it enough time. */

const compose = Bun.YAML.parse(await Bun.file('compose.yaml').text()) as Compose
const fly = Bun.TOML.parse(await Bun.file('fly.toml').text()) as Fly
const railway = (await Bun.file('railway.json').json()) as Railway
const dockerfile = await Bun.file('Dockerfile').text()
const operations = await Bun.file('docs/operations.md').text()

type Instance = {
  command?: string[]
  environment?: Record<string, string>
  stop_grace_period?: string
  read_only?: boolean
  depends_on?: Record<string, { condition: string }>
}
type Compose = { services: Record<string, Instance> }
type Fly = {
  env: Record<string, string>
  kill_signal: string
  kill_timeout: string
  deploy: { release_command: string; strategy: string }
  http_service: {
    internal_port: number
    min_machines_running: number
    auto_stop_machines: string
    checks: { path: string; timeout: string; method: string }[]
  }
}
type Railway = {
  build: { builder: string; dockerfilePath: string }
  deploy: {
    healthcheckPath: string
    overlapSeconds: number
    drainingSeconds: number
  }
}

const known = () => {
  const names = new Set(['NODE_ENV'])
  const get = (_: object, name: string) => void names.add(name)
  readConfig(new Proxy({}, { get }))
  return names
}

/** The maximum time of an instance from the signal to its exit. */
const longestSeconds = (environment: Record<string, string>) =>
  readConfig({ DRAIN_MS: environment.DRAIN_MS }).drainMs / 1000 + idleSeconds
const seconds = (text = '') => Number(/^(\d+)s$/.exec(text)?.[1])

const instances = Object.entries(compose.services).filter(([, { environment }]) =>
  Object.hasOwn(environment ?? {}, 'DATABASE_URL'),
)
/** With the substitutions of Compose. */
const filled = (environment: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      String(value).replace(/\$\{[^}]*\}/g, 'a-secret-of-more-than-thirty-two-bytes'),
    ]),
  )

const environments: [string, Record<string, string>][] = [
  ...instances.map(([name, { environment = {} }]): [string, Record<string, string>] => [
    `compose ${name}`,
    filled(environment),
  ]),
  // Added by `fly secrets set`.
  [
    'fly.toml',
    {
      ...fly.env,
      DATABASE_URL: 'postgres://a:b@db.example/tasks?sslmode=verify-full',
      JWT_SECRET: 'a-secret-of-more-than-thirty-two-bytes',
    },
  ],
]

test.each(environments)('%s sets known settings to valid values', (_, environment) => {
  for (const name of Object.keys(environment)) expect(known()).toContain(name)
  expect(() => readConfig({ NODE_ENV: 'production', ...environment })).not.toThrow()
})

test('commands exist in the binary', async () => {
  const { stdout: help } = await Bun.$`bun src/main.ts --help`.quiet()
  const [, healthcheck = ''] =
    /HEALTHCHECK .*CMD \["\/taskwarden", "(\w+)"\]/.exec(dockerfile) ?? []
  const documented = [
    fly.deploy.release_command,
    ...instances.flatMap(([, { command = [] }]) => command),
    healthcheck,
  ]

  expect(documented).toEqual(['migrate', 'migrate', 'healthcheck'])
  for (const command of documented) expect(String(help)).toMatch(new RegExp(`^  ${command} `, 'm'))
})

test('an instance has enough time to drain and to finish requests in flight', () => {
  for (const [, { command, environment = {}, stop_grace_period }] of instances)
    if (command === undefined)
      expect(seconds(stop_grace_period)).toBeGreaterThan(longestSeconds(environment))
  expect(seconds(fly.kill_timeout)).toBeGreaterThan(longestSeconds(fly.env))
  expect(railway.deploy.drainingSeconds).toBeGreaterThan(longestSeconds({}))
  expect([fly.kill_signal, /^STOPSIGNAL (\w+)$/m.exec(dockerfile)?.[1]]).toEqual([
    'SIGTERM',
    'SIGTERM',
  ])
})

test('health checks use an existing route and the right port', async () => {
  const { call } = await service()

  const paths = [...fly.http_service.checks.map(({ path }) => path), railway.deploy.healthcheckPath]
  expect(paths).toEqual(['/ready', '/ready'])
  for (const path of paths) expect((await call('GET', path)).status).toBe(200)
  const { port } = readConfig({})
  expect(String(port)).toBe(/^EXPOSE (\d+)$/m.exec(dockerfile)?.[1] ?? '')
  expect(fly.http_service.internal_port).toBe(readConfig({ PORT: fly.env.PORT }).port)
  const proxied = JSON.stringify(compose.services.proxy)
  expect(proxied.match(/api-\d:\d+/g)).toEqual([`api-1:${port}`, `api-2:${port}`])
})

test('several instances share a rate-limit store, and one migrates', () => {
  const running = instances.filter(([, { command }]) => command === undefined)

  expect(running.map(([name]) => name)).toEqual(['api-1', 'api-2'])
  for (const [, { environment, depends_on, read_only }] of running) {
    expect(environment).toMatchObject({ RATE_LIMIT_STORE: 'redis', MIGRATE_ON_START: 'false' })
    expect(depends_on?.migrate).toEqual({ condition: 'service_completed_successfully' })
    expect(read_only).toBe(true)
  }
  expect(fly.http_service.min_machines_running).toBeGreaterThan(1)
  expect(fly.env).toMatchObject({ RATE_LIMIT_STORE: 'postgres', MIGRATE_ON_START: 'false' })
  expect(fly.env.TRUST_PROXY).toBe('fly')
})

test('they contain no secret', async () => {
  for (const file of ['compose.yaml', 'fly.toml', 'railway.json', 'Dockerfile']) {
    const text = await Bun.file(file).text()
    // A value, not a substitution (`${JWT_SECRET:?…}`).
    for (const [, value = ''] of text.matchAll(
      /(?<!\{)\b\w*(?:SECRET|PASSWORD)"?\s*[:=]\s*(.*)$/gm,
    ))
      expect(value).toMatch(/^\$\{\w+:\?/)
    expect(text).not.toMatch(/:\/\/\w+:[^$@/]+@/)
  }
})

test('the distribution statements include every table of users, in an order that their references permit', async () => {
  const spread = [
    ...operations.matchAll(/^select create_(\w+)_table\('(\w+)'(?:, 'user_id')?(.*)\);$/gm),
  ].map(([, kind = '', name = '', more = '']) => ({ kind, name, more }))

  // Reference tables come first.
  const [users, identities, first, ...others] = spread
  expect([users, identities].map((table) => [table?.kind, table?.name])).toEqual([
    ['reference', 'users'],
    ['reference', 'identities'],
  ])
  expect([first?.kind, first?.more]).toEqual(['distributed', ''])
  for (const { kind, more } of others)
    expect([kind, more]).toEqual(['distributed', `, colocate_with => '${first?.name}'`])
  expect(spread.map(({ name }) => name).sort()).toEqual(['users', ...(await ownedTables())].sort())
})

/** The tables with rows of users. */
const ownedTables = async () => {
  const journal = await Bun.file('drizzle/meta/_journal.json').json()
  const { idx } = journal.entries.at(-1)
  const path = `drizzle/meta/${String(idx).padStart(4, '0')}_snapshot.json`
  const { tables } = await Bun.file(path).json()
  return Object.values<{ name: string; columns: object }>(tables)
    .filter(({ columns }) => 'user_id' in columns)
    .map(({ name }) => name)
}

test('docs/operations.md has the commands and exit codes of --help', async () => {
  const help = String((await Bun.$`bun src/main.ts --help`.quiet()).stdout)

  const documented = [...operations.matchAll(/^\| `(?:[^`]*`, `)?taskwarden ([^`]+)` \|/gm)].map(
    ([, command]) => command ?? '',
  )
  const printed = [...help.matchAll(/^ {2}([a-z]\S*(?: \S+)*?)(?: {2}|$)/gm)].map(
    ([, command]) => command ?? '',
  )
  expect(printed.length).toBeGreaterThan(8)
  expect(documented).toEqual(printed)
  const codes = [...operations.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => code)
  expect(codes).toEqual(help.match(/\d+(?= (?:done|failed|wrong usage|invalid|second))/g) ?? [])
})
