import { expect, test } from 'bun:test'

/* The workflows. Whether a platform runs them, only that platform shows. */

type Step = { uses?: string; run?: string; with?: Record<string, string> }
type Workflow = {
  jobs: Record<
    string,
    { steps: Step[]; strategy?: { matrix: { include: Record<string, string>[] } } }
  >
}
const textOf = (name: string) => Bun.file(`.github/workflows/${name}.yml`).text()
const read = async (name: string) => Bun.YAML.parse(await textOf(name)) as Workflow
const release = await read('release')
const steps = Object.values(release.jobs).flatMap((job) => job.steps)

test.each(['ci', 'release'])(
  '%s uses actions by their hash, with the version beside it',
  async (name) => {
    const used = (await textOf(name)).split('\n').filter((line) => line.includes('uses:'))
    expect(used.length).toBeGreaterThan(1)
    for (const line of used)
      expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  },
)

test('a release has binaries for three platforms, which are tested there, and an image for two', () => {
  const of = (job: string, member: string) =>
    release.jobs[job]?.strategy?.matrix.include.map((one) => one[member])
  expect(of('binary', 'platform')).toEqual(['linux-x64', 'linux-arm64', 'macos-arm64'])
  expect(of('image', 'architecture')).toEqual(['amd64', 'arm64'])
  const binary = release.jobs.binary?.steps.map(({ run }) => run ?? '').join('\n')
  expect(binary).toMatch(/bun run build\nbun test [^\n]*test\/binary\//)
})

test('its scripts are valid, and use the Bun of the project', async () => {
  const scripts = steps.flatMap(({ run }) => (run === undefined ? [] : [run]))
  expect(scripts.length).toBeGreaterThan(5)
  for (const script of scripts) {
    const checked = Bun.spawnSync(['bash', '-n', '-c', script.replace(/\$\{\{[^}]*\}\}/g, 'x')])
    expect([script, String(checked.stderr)]).toEqual([script, ''])
  }
  const gate = await Bun.file('.ci/run').text()
  const [, version] = /^bun_version=(.*)$/m.exec(gate) ?? []
  expect(await textOf('release')).toContain(`BUN_VERSION: ${version}\n`)
})

test('its notes are the part of the changelog with the version', async () => {
  const script = steps.find(({ run }) => run?.includes('CHANGELOG.md'))?.run ?? ''
  const [extract = ''] = script.split('\ngrep')
  const changelog =
    '# Changelog\n\n## Unreleased\n\n- a\n\n## [1.2.0] - 2026-01-01\n\n- b\n\n## [1.1.0]\n\n- c\n'
  const folder = (await Bun.$`mktemp -d`.text()).trim()
  await Bun.write(`${folder}/CHANGELOG.md`, changelog)

  const { exitCode } = Bun.spawnSync(['bash', '-c', extract], {
    cwd: folder,
    env: { ...process.env, GITHUB_REF_NAME: 'v1.2.0' },
  })

  expect(exitCode).toBe(0)
  expect((await Bun.file(`${folder}/notes.md`).text()).trim()).toBe('- b')
  await Bun.$`rm -r ${folder}`
})

test('its list of packages is CycloneDX, with all dependencies and their licences', async () => {
  const script = steps.find(({ run }) => run?.includes('npm sbom'))?.run ?? ''
  const folder = (await Bun.$`mktemp -d`.text()).trim()
  await Bun.$`mkdir ${folder}/files && cp package.json bun.lock bunfig.toml ${folder}`
  const { exitCode, stderr } = Bun.spawnSync(
    ['bash', '-ec', script.replace(/^npm install --global .*$/m, '')],
    { cwd: folder, env: { ...process.env, GITHUB_REF_NAME: 'v1.2.3' }, stderr: 'pipe' },
  )
  expect([exitCode, String(stderr).includes('npm error')]).toEqual([0, false])
  const { bomFormat, components } = (await Bun.file(
    `${folder}/files/taskwarden-v1.2.3.cdx.json`,
  ).json()) as { bomFormat: string; components: { name: string; licenses?: unknown[] }[] }
  const { dependencies, devDependencies } = (await Bun.file('package.json').json()) as {
    dependencies: Record<string, string>
    devDependencies: Record<string, string>
  }
  expect(bomFormat).toBe('CycloneDX')
  const names = components.map(({ name }) => name)
  for (const name of Object.keys(dependencies)) expect(names).toContain(name)
  expect(names).not.toContain(Object.keys(devDependencies)[0])
  for (const { name, licenses = [] } of components)
    expect([name, licenses.length > 0]).toEqual([name, true])
  await Bun.$`rm -r ${folder}`
}, 60_000)
