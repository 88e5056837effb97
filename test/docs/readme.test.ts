import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { service } from '../support/service.ts'

const readme = await Bun.file('README.md').text()
/** It continues the session of the README. */
const concepts = await Bun.file('docs/api.md').text()

/** The text of the fenced blocks that are marked so, one after the other. */
const blocks = (mark: string) =>
  [...`${readme}\n${concepts}`.matchAll(/^```(.+)\n([\s\S]*?)^```$/gm)]
    .filter(([, info]) => info === mark)
    .map(([, , text]) => text ?? '')
    .join('\n')

/** The cells of every table row, without the code marks. */
const rows = () =>
  [...readme.matchAll(/^\| (.+) \|$/gm)].map(([, row = '']) =>
    row.split(' | ').map((cell) => cell.replaceAll('`', '').trim()),
  )

/** The service as a process, in memory, on a free port; its URL. */
const started = async () => {
  const child = Bun.spawn([process.execPath, 'src/main.ts'], {
    env: { PATH: process.env.PATH ?? '', DATABASE_URL: 'pglite:memory', PORT: '0', DRAIN_MS: '0' },
    stdout: 'pipe',
  })
  let log = ''
  // Not by `for await`, which closes the pipe when it is left, and with it the process.
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
    expect(others).toEqual(['201', '201', '{"valid":2}'])
  },
  240_000,
)

test('the settings are those of .env.example, with their defaults', async () => {
  const example = [...(await Bun.file('.env.example').text()).matchAll(/^([A-Z_]+)=(.*)$/gm)].map(
    ([, name, value]): [string, string] => [name ?? '', value ?? ''],
  )
  const told = rows()
    .filter(([name = '']) => /^[A-Z_]+$/.test(name))
    .map(([name, value]): [string, string] => [name ?? '', value === 'none' ? '' : (value ?? '')])

  // What stands there is no default, but a text that is refused.
  const defaults = new Map([...example, ['JWT_SECRET', ''], ['TRUST_PROXY', '']])
  expect(new Map(told)).toEqual(defaults)
  expect(told).toHaveLength(example.length)
})

test('every route is in the table, and no other', async () => {
  const { app } = await service({ METRICS_TOKEN: 'with-every-route' })
  const shown = app.routes.filter(
    ({ hooks, path }) => hooks.detail?.hide !== true || /^\/(docs(\/json)?|metrics)$/.test(path),
  )

  const told = rows().flatMap(([route = '']) => (/^[A-Z]+ \//.test(route) ? [route] : []))

  expect(told.sort()).toEqual(
    shown.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`).sort(),
  )
})

test('what it names is there: files, scripts, variables', async () => {
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
