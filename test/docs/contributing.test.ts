import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { Glob } from 'bun'

/* The documents: their links work, and they are complete. */

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'client/README.md'],
  ...new Glob('{docs,bench,examples}/**/*.md').scanSync('.'),
].filter((page) => existsSync(page) && !page.includes('node_modules'))

const textOf = (page: string) => Bun.file(page).text()

/** Without code, which contains no links. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')

/** GitHub's anchors of headings. */
const anchorsOf = (text: string) =>
  [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )

test.each(pages)('all links of %s lead to existing files and headings', async (page) => {
  const text = await textOf(page)
  const links = [
    ...[...prose(text).matchAll(/\]\(([^)\s]+)\)/g)],
    ...[...prose(text).matchAll(/^\[[^\]]+\]: (\S+)$/gm)],
  ].map(([, to = '']) => to)

  for (const link of links.filter((to) => !/^[a-z]+:/.test(to))) {
    const [path = '', anchor] = link.split('#')
    const file = path === '' ? page : relative('.', join(dirname(page), path))
    expect([link, existsSync(file)]).toEqual([link, true])
    if (anchor !== undefined) expect(anchorsOf(await textOf(file))).toContain(anchor)
  }
})

describe('a decision record', () => {
  const folder = 'docs/decisions'
  const records = [...new Glob('*.md').scanSync(folder)]
    .filter((name) => name !== 'README.md')
    .sort()

  test('has its number, its four parts, and at most forty lines', async () => {
    expect(records.length).toBeGreaterThan(0)
    for (const [at, name] of records.entries()) {
      const text = await textOf(join(folder, name))
      const number = at + 1

      expect(name).toMatch(new RegExp(`^${String(number).padStart(4, '0')}-[a-z0-9-]+\\.md$`))
      expect(text).toStartWith(`# ${number}. `)
      expect([...text.matchAll(/^## (.+)$/gm)].map(([, part]) => part)).toEqual([
        'Context',
        'Decision',
        'Measurement',
        'What would change it',
      ])
      expect([name, text.split('\n').length <= 41]).toEqual([name, true])
    }
  })

  test('is in the index with its title, and the index has no other entry', async () => {
    const index = await textOf(join(folder, 'README.md'))

    const listed = [...index.matchAll(/^\| (\d+) \| \[(.+)\]\((.+)\) \|$/gm)].map(
      ([, number, title, name]) => ({ number, title, name }),
    )

    expect(listed).toEqual(
      await Promise.all(
        records.map(async (name) => {
          const [, title] = /^# \d+\. (.+)$/m.exec(await textOf(join(folder, name))) ?? []
          return { number: name.slice(0, 4), title, name }
        }),
      ),
    )
  })
})

test('the layout lists every folder and root file of src', async () => {
  const page = await textOf('docs/architecture.md')
  const [, layout = ''] = page.split('## The layout of `src`')
  const named = [...layout.matchAll(/`(src\/[^`]+)`/g)].map(([, path]) => path)

  const there = [...new Glob('src/*').scanSync({ cwd: '.', onlyFiles: false })].map((path) =>
    /\.\w+$/.test(path) ? path : `${path}/`,
  )

  expect(named.filter((path) => path !== undefined).sort()).toEqual(there.sort())
})

test.each(['CONTRIBUTING.md', 'docs/add-a-field.md', 'docs/architecture.md', 'docs/testing.md'])(
  'the files and commands that %s names are there',
  async (page) => {
    const text = await textOf(page)
    const { scripts } = await Bun.file('package.json').json()

    const paths = [...text.matchAll(/(?<![\w/.@-])(?:src|test|drizzle|\.ci)\/[\w./-]*\w/g)].map(
      ([path]) => path,
    )
    const commands = [
      ...text.matchAll(/\bbun(?:@[\d.]+)? (?:run )?([a-z]+(?::[a-z]+)?)(?=[\s`])/g),
    ].flatMap(([, name = '']) => (name === 'install' ? [] : [name]))

    for (const path of paths) expect([path, existsSync(path)]).toEqual([path, true])
    for (const name of commands) expect(Object.keys(scripts)).toContain(name)
    expect(paths.length).toBeGreaterThan(0)
  },
)

test('the tests that CONTRIBUTING.md runs by name exist', async () => {
  const filters = [...(await textOf('CONTRIBUTING.md')).matchAll(/(test\/\S+\.ts) -t '([^']+)'/g)]

  expect(filters.length).toBeGreaterThan(0)
  for (const [, file = '', name = ''] of filters) expect(await textOf(file)).toContain(`'${name}`)
})

test('the changelog has the current version', async () => {
  const { version } = await Bun.file('package.json').json()
  const versions = [...(await textOf('CHANGELOG.md')).matchAll(/^## (.+)$/gm)].map(
    ([, name]) => name,
  )

  expect(versions[0]).toBe('Unreleased')
  expect(versions[1]).toMatch(new RegExp(`^${version} – \\d{4}-\\d\\d-\\d\\d$`))
})

test('the workflow runs the gate and nothing else', async () => {
  const workflow = Bun.YAML.parse(await textOf('.github/workflows/ci.yml')) as {
    jobs: Record<string, { 'timeout-minutes': number; steps: { run?: string; uses?: string }[] }>
  }
  const [gate, ...others] = Object.values(workflow.jobs)

  expect(others).toEqual([])
  expect(gate?.steps.flatMap(({ run }) => run ?? [])).toEqual([
    'sudo env "PATH=$PATH" bash .ci/run',
  ])
  // The deadline of the gate, so that it can report what failed.
  const [, minutes] =
    /deadline=\$\(\(SECONDS \+ (\d+) \* 60\)\)/.exec(await textOf('.ci/run')) ?? []
  expect(gate?.['timeout-minutes']).toBeGreaterThan(Number(minutes))
})
