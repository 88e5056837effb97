import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { service } from '../support/service.ts'

const readme = await Bun.file('README.md').text()
/** It continues the session of the README. */
const concepts = await Bun.file('docs/api.md').text()

/** The text of all fenced blocks of a language. */
const blocks = (mark: string) =>
  [...`${readme}\n${concepts}`.matchAll(/^```(.+)\n([\s\S]*?)^```$/gm)]
    .filter(([, info]) => info === mark)
    .map(([, , text]) => text ?? '')
    .join('\n')

/** The cells of every table row, without backticks. */
const rows = () =>
  [...readme.matchAll(/^\| (.+) \|$/gm)].map(([, row = '']) =>
    row.split(' | ').map((cell) => cell.replaceAll('`', '').trim()),
  )

/** Starts the service in memory on a free port and returns its URL. */
const started = async () => {
  const child = Bun.spawn([process.execPath, 'src/main.ts'], {
    env: { PATH: process.env.PATH ?? '', DATABASE_URL: 'pglite:memory', PORT: '0', DRAIN_MS: '0' },
    stdout: 'pipe',
  })
  let log = ''
  // `for await` would close the pipe, which ends the process.
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  while (!log.includes('"event":"ready"')) {
    const { value, done } = await lines.read()
    if (done) throw new Error(`it did not start: ${log}`)
    log += value
  }
  const [, url = ''] = /"url":"([^"]+)\/"/.exec(log) ?? []
  const stop = async () => {
    child.kill()
    await child.exited
  }
  return { url, stop }
}

test.skipIf(Bun.which('curl') === null)(
  'the session works as printed',
  async () => {
    const { url, stop } = await started()
    const session = blocks('sh session').replace('http://localhost:3000', url)
    const shell = Bun.spawn(['sh', '-eu', '-c', session], { stdout: 'pipe', stderr: 'pipe' })

    const [out, err, status] = await Promise.all([
      shell.stdout.text(),
      shell.stderr.text(),
      shell.exited,
    ])
    await stop()

    const [completed = '', listed = '', changed = '', ...others] = out.trim().split('\n')
    expect([status, err]).toEqual([0, ''])
    expect(session).toContain(url)
    expect(completed).toBe('{"success":true,"completed":true}')
    expect(JSON.parse(listed).tasks).toMatchObject([{ title: 'Buy milk', completed: true }])
    expect(JSON.parse(changed)).toMatchObject({ title: 'Buy milk', priority: 'high', version: 3 })
    expect(others).toEqual(['201', '201', '{"valid":2,"dropped":[]}'])
  },
  240_000,
)

test('the settings table matches .env.example', async () => {
  const example = [...(await Bun.file('.env.example').text()).matchAll(/^([A-Z_]+)=(.*)$/gm)].map(
    ([, name, value]): [string, string] => [name ?? '', value ?? ''],
  )
  const documented = rows()
    .filter(([name = '']) => /^[A-Z_]+$/.test(name))
    .map(([name, value]): [string, string] => [name ?? '', value === 'none' ? '' : (value ?? '')])

  const defaults = new Map([...example, ['TRUST_PROXY', '']])
  expect(new Map(documented)).toEqual(defaults)
  expect(documented).toHaveLength(example.length)
})

test('the table has exactly the routes of the service', async () => {
  const { app } = await service({ METRICS_TOKEN: 'with-every-route' })
  const shown = app.routes.filter(
    ({ hooks, path }) => hooks.detail?.hide !== true || /^\/(docs(\/json)?|metrics)$/.test(path),
  )

  const documented = rows().flatMap(([route = '']) => (/^[A-Z]+ \//.test(route) ? [route] : []))

  expect(documented.sort()).toEqual(
    shown.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`).sort(),
  )
})

test('the named files, scripts and variables exist', async () => {
  const { scripts } = await Bun.file('package.json').json()
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, to]) => to ?? '')
  const paths = [...readme.matchAll(/(?<![\w/.])(?:src|test|drizzle|\.ci)\/[\w./-]*/g)].map(
    ([path]) => path.replace(/\.$/, ''),
  )
  const commands = [...readme.matchAll(/\bbun(?:@[\d.]+)? (?:run )?([a-z:]+)/g)].flatMap(
    ([, name = '']) => (name === 'install' ? [] : [name]),
  )

  for (const path of [...links, ...paths]) expect(existsSync(path), path).toBe(true)
  for (const name of commands) expect(Object.keys(scripts)).toContain(name)
  expect(links.length * paths.length * commands.length).toBeGreaterThan(0)
})
