import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { deriveMutants, type Mutant } from './derive.ts'
import { equivalent, handWritten } from './hand-written.ts'
import { relatedTests } from './related-tests.ts'
import { isRequired } from './required.ts'

/*
 * `bun run test:mutants`: removes one protection at a time in a copy of the project, and expects a test to fail. It runs
 * the required mutants (required.ts).
 *
 * MUTANTS=all     all mutants
 * MUTANTS=6       6 random mutants of all, selected by SEED (printed)
 * ONLY=pattern    mutants whose name matches
 * SKIP=file       leaves out the mutants that this log of an earlier run has as killed
 * KNOWN=file      runs first the test that killed the mutant in this log
 * QUICK=2         runs only the two likeliest test files; survivors need a longer run
 * WORKERS=2       mutants at once
 *
 * A mutant is killed if a test with a name fails. A mutant that breaks sign-up (5xx), or that prevents a file from
 * loading, proves nothing about the tests. It is reported as stillborn, and fails the run like a survivor.
 */

const root = join(import.meta.dir, '../..')
const { MUTANTS, SEED, ONLY, SKIP, KNOWN, QUICK, TEST_DATABASE_URL } = process.env
const { WORKERS = '2' } = process.env
/** Time limits of the whole suite and of one test file: a mutant that never ends is detected too. */
const suiteMsMax = 900_000
const fileMsMax = 180_000

type Fate = 'killed' | 'survived' | 'stillborn'
type Verdict = { fate: Fate; by: string; seconds: number }

const nameOf = ({ file, line, kind, before, after }: Mutant) => {
  const short = (text: string) => {
    const line = text.replace(/\s+/g, ' ')
    return line.length > 70 ? `${line.slice(0, 69)}…` : line
  }
  return `${file}:${line} ${kind}: ${short(before)} → ${short(after)}`
}

const locateHandWritten = async (): Promise<Mutant[]> =>
  Promise.all(
    handWritten.map(async ({ file, text, after }) => {
      const source = await Bun.file(join(root, file)).text()
      const parts = source.split(text)
      const [head = ''] = parts
      if (parts.length !== 2) throw new Error(`${file} contains ${parts.length - 1} times: ${text}`)
      const line = head.split('\n').length
      const [start, end] = [head.length, head.length + text.length]
      return { kind: 'hand-written' as const, file, line, start, end, before: text, after }
    }),
  )

/** All mutants without the equivalent ones. */
const findMutants = async (): Promise<Mutant[]> => {
  const all = [...(await deriveMutants(root)), ...(await locateHandWritten())]
  const isSame = (mutant: Mutant, one: (typeof equivalent)[number]) =>
    mutant.file === one.file &&
    mutant.kind === one.kind &&
    mutant.before.replace(/\s+/g, ' ') === one.before &&
    (one.after === undefined || mutant.after === one.after)
  const unused = equivalent.filter((one) => !all.some((mutant) => isSame(mutant, one)))
  if (unused.length > 0)
    throw new Error(`fit no mutant: ${unused.map(({ file, before }) => `${file}: ${before}`)}`)
  return all.filter((mutant) => !equivalent.some((one) => isSame(mutant, one)))
}

/** A random sample, reproducible by its seed (mulberry32, Fisher-Yates). */
const sample = (mutants: Mutant[], count: number, seed: number): Mutant[] => {
  let state = seed >>> 0
  const below = (limit: number) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  const rest = [...mutants]
  return Array.from({ length: Math.min(count, rest.length) }, () =>
    rest.splice(below(rest.length), 1),
  ).flat()
}

/** Copies the files that git tracks or would add. The packages, and so the PGlite template, are shared. */
const copyProject = async (): Promise<string> => {
  const copy = await mkdtemp(join(tmpdir(), 'taskwarden-mutants-'))
  const list = Bun.spawnSync(['git', 'ls-files', '-co', '--exclude-standard'], { cwd: root })
  for (const file of list.stdout.toString().trim().split('\n')) {
    if (!(await Bun.file(join(root, file)).exists())) continue
    await mkdir(dirname(join(copy, file)), { recursive: true })
    await cp(join(root, file), join(copy, file))
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

const running = new Set<{ kill: (signal: 'SIGKILL') => void }>()
let isStopping = false

/**
 * Creates a database for one run on PostgreSQL: a statement without its user condition would change the rows of other
 * runs. Without a server, the run uses PGlite in memory.
 */
const createDatabase = async () => {
  if (!TEST_DATABASE_URL) return { env: {}, drop: async () => {} }
  const admin = postgres(TEST_DATABASE_URL, { max: 1, onnotice: () => {} })
  const name = `mutant_${Bun.randomUUIDv7().replaceAll('-', '')}`
  await admin.unsafe(`create database ${name}`)
  const url = new URL(TEST_DATABASE_URL)
  url.pathname = `/${name}`
  const drop = async () => {
    await admin.unsafe(`drop database ${name} with (force)`)
    await admin.end()
  }
  return { env: { TEST_DATABASE_URL: url.href }, drop }
}

/** The test that sends every statement, for mutants of statements. */
const statementTest = ['-t', 'what each route sends', 'test/isolation.test.ts']
/** The test that compares every schema with the contract, for mutants of schemas. */
const schemaTest = [
  '-t',
  'every member of requests and responses has the bounds of the contract',
  'test/http/limits-of-input.test.ts',
]
/** Whether the mutant may remove the user condition of a statement. */
const affectsUserScope = ({ kind, before }: Mutant) =>
  kind === 'join' || (kind === 'condition' && /user_id|^me$|^mine|where|isOld/i.test(before))
/**
 * As `bun run test`, without the test that runs the linter: it would fail because of the style of a mutant. Suites that
 * `bun run test` excludes need a build or a service.
 */
const wholeSuite = [
  'test/binary/**',
  'test/attack/**',
  'test/citus/**',
  'test/image/**',
  'test/browser/**',
  'test/generators/**',
  'test/docs/add-a-field.test.ts',
  'test/docs/add-a-resource.test.ts',
].flatMap((pattern) => ['--path-ignore-patterns', pattern])

/** Runs tests until one fails. */
const runTests = async (copy: string, which: string[]): Promise<Verdict> => {
  const msMax = which === wholeSuite ? suiteMsMax : fileMsMax
  const { env, drop } = await createDatabase()
  const started = performance.now()
  const run = Bun.spawn(['bun', 'test', '--bail', '--timeout', '60000', ...which], {
    cwd: copy,
    env: { ...process.env, ...env, NO_COLOR: '1' },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  running.add(run)
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    run.kill('SIGKILL')
  }, msMax)
  const [output, status] = await Promise.all([new Response(run.stderr).text(), run.exited])
  clearTimeout(timer)
  running.delete(run)
  await drop()
  const seconds = (performance.now() - started) / 1000
  // The test that an earlier run recorded may be gone, or in another file.
  if (status === 0 || /^error: regex .* matched 0 tests/m.test(output))
    return { fate: 'survived', by: '', seconds }
  if (isLate) return { fate: 'killed', by: `no end in ${msMax / 1000} s`, seconds }
  const [, by] = /^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/m.exec(output) ?? []
  const isUnjudged = by === undefined || by === '(unnamed)' || /could not sign up: 5/.test(output)
  const isSlow = /timed out after \d+ms/.test(output)
  return {
    fate: isUnjudged ? 'stillborn' : 'killed',
    by: by === undefined ? output.slice(-300) : `${by}${isSlow ? ' (timed out)' : ''}`,
    seconds,
  }
}

/** The test that killed a mutant in an earlier run, by the name of the mutant without its line. */
const killers = new Map(
  [...(KNOWN ? await Bun.file(KNOWN).text() : '').matchAll(/^killed \S+ s {2}(.*)\n {4}by (.*)$/gm)]
    .filter(([, , by = '']) => !by.endsWith(' (timed out)'))
    .map(([, name = '', by = '']): [string, string] => [
      name.replace(/:\d+ /, ' '),
      (by.split(' > ').at(-1) ?? '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    ]),
)

const judge = async (copy: string, mutant: Mutant): Promise<Verdict> => {
  const path = join(copy, mutant.file)
  const source = await Bun.file(join(root, mutant.file)).text()
  const { start, end, after, importing } = mutant
  const changed = `${source.slice(0, start)}${after}${source.slice(end)}`
  await Bun.write(path, importing ? `${importing}\n${changed}` : changed)
  const likeliest = relatedTests(mutant.file)
  const files = likeliest.slice(0, QUICK ? Number(QUICK) : undefined)
  const killer = killers.get(nameOf(mutant).replace(/:\d+ /, ' '))
  const stages = [
    ...(killer === undefined ? [] : [['-t', killer, ...likeliest]]),
    ...(affectsUserScope(mutant) ? [statementTest] : []),
    ...(/^(bound|closed)$/.test(mutant.kind) ? [schemaTest] : []),
    ...files.map((file) => [file]),
    ...(QUICK ? [] : [wholeSuite]),
  ]
  try {
    let seconds = 0
    for (const files of stages) {
      const verdict = await runTests(copy, files)
      seconds += verdict.seconds
      if (verdict.fate !== 'survived' || isStopping) return { ...verdict, seconds }
    }
    return { fate: 'survived', by: '', seconds }
  } finally {
    await Bun.write(path, source)
  }
}

const main = async (): Promise<number> => {
  const all = await findMutants()
  const seed = Number(SEED ?? Math.floor(Math.random() * 1_000_000))
  const isSample = Boolean(MUTANTS) && MUTANTS !== 'all'
  const selected = isSample
    ? sample(all, Number(MUTANTS), seed)
    : all.filter((mutant) => MUTANTS === 'all' || isRequired(mutant))
  const log = SKIP ? await Bun.file(SKIP).text() : ''
  const known = new Set([...log.matchAll(/^killed [\d.]+ s {2}(.*)$/gm)].map(([, name]) => name))
  const wanted = selected.filter((mutant) => {
    const name = nameOf(mutant)
    return new RegExp(ONLY ?? '').test(name) && !known.has(name)
  })
  console.log(
    `${wanted.length} of ${all.length} mutants (${equivalent.length} more are equivalent to the original)${isSample ? `, SEED=${seed}` : ''}`,
  )

  const fates: Record<Fate, string[]> = { killed: [], survived: [], stillborn: [] }
  const waiting = [...wanted]
  const started = performance.now()
  const work = async () => {
    const copy = await copyProject()
    try {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        const { fate, by, seconds } = await judge(copy, mutant)
        if (isStopping) return
        fates[fate].push(nameOf(mutant))
        console.log(`${fate} ${seconds.toFixed(1)} s  ${nameOf(mutant)}${by && `\n    by ${by}`}`)
      }
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  }
  await Promise.all(Array.from({ length: Number(WORKERS) }, work))

  const minutes = (performance.now() - started) / 60_000
  for (const fate of ['survived', 'stillborn'] as const)
    for (const name of fates[fate]) console.log(`${fate}: ${name}`)
  console.log(`${fates.killed.length}/${wanted.length} killed in ${minutes.toFixed(1)} min`)
  return fates.killed.length === wanted.length ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // Kills the running tests; the workers then remove their copies.
    isStopping = true
    for (const run of running) run.kill('SIGKILL')
  })
process.exit(await main())
