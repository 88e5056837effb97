import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { derived, type Mutant } from './derive.ts'
import { byHand, equivalent } from './hand-written.ts'
import { relatedTests } from './related-tests.ts'
import { isRequired } from './required.ts'

/*
 * `bun run test:mutants`: takes one protection away at a time, in a copy, and has the tests
 * notice: those of the promise (promised.ts), or with MUTANTS=all every one that can be derived.
 * MUTANTS=6 tries so many of all, drawn by SEED (printed); ONLY=… those whose name matches;
 * SKIP=file leaves out what that log of an earlier run has killed, and KNOWN=file first asks the
 * test that killed it there; QUICK=2 asks no more than the two likeliest test files, and leaves
 * survivors for a longer run.
 *
 * A mutant is killed by a test that fails by name. One that breaks sign-up (a 5xx), or keeps a
 * file from loading, proves nothing about the tests: it is told apart, and fails the run too.
 */

const root = join(import.meta.dir, '../..')
const { MUTANTS, SEED, ONLY, SKIP, KNOWN, QUICK, TEST_DATABASE_URL } = process.env
const { WORKERS = '2' } = process.env
/** How long all tests, and those of one file, may take: what never ends is noticed, too. */
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

const handMade = async (): Promise<Mutant[]> =>
  Promise.all(
    byHand.map(async ({ file, text, after }) => {
      const source = await Bun.file(join(root, file)).text()
      const parts = source.split(text)
      const [head = ''] = parts
      if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${text}`)
      const line = head.split('\n').length
      const [start, end] = [head.length, head.length + text.length]
      return { kind: 'by hand' as const, file, line, start, end, before: text, after }
    }),
  )

/** Every mutant that somebody could tell from the original. */
const telling = async (): Promise<Mutant[]> => {
  const all = [...(await derived(root)), ...(await handMade())]
  const isSame = (mutant: Mutant, one: (typeof equivalent)[number]) =>
    mutant.file === one.file &&
    mutant.kind === one.kind &&
    mutant.before.replace(/\s+/g, ' ') === one.before &&
    (one.after === undefined || mutant.after === one.after)
  const unused = equivalent.filter((one) => !all.some((mutant) => isSame(mutant, one)))
  if (unused.length > 0)
    throw new Error(`no longer mutants: ${unused.map(({ file, before }) => `${file}: ${before}`)}`)
  return all.filter((mutant) => !equivalent.some((one) => isSame(mutant, one)))
}

/** So many of them, in an order that a seed decides (mulberry32, Fisher-Yates). */
const drawn = (mutants: Mutant[], count: number, seed: number): Mutant[] => {
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

/** A copy of what git knows or would add, with the same packages (and so the same PGlite template). */
const copied = async (): Promise<string> => {
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
 * A database of its own for each run on PostgreSQL, since a statement that forgot its user reaches
 * the rows of other runs too. Without a server it is PGlite, in memory.
 */
const ownDatabase = async () => {
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

/** The one test that has every statement sent, for mutants of statements. */
const witnessing = ['-t', 'what each route sends', 'test/isolation.test.ts']
/** The one that holds every shape against the contract, for mutants of shapes. */
const describing = [
  '-t',
  'every member of requests and responses has the bounds of the contract',
  'test/http/limits-of-input.test.ts',
]
/** Whether a statement may lose its user by it. */
const isWitnessed = ({ kind, before }: Mutant) =>
  kind === 'join' || (kind === 'condition' && /user_id|^me$|^mine|where|isOld/i.test(before))
/** The field's test runs the linter: a mutant that it finds ugly would pass for one that tests have noticed. */
const wholeSuite = [
  'test/binary/**',
  'test/attack/**',
  'test/image/**',
  'test/browser/**',
  'test/docs/add-a-field.test.ts',
].flatMap((left) => ['--path-ignore-patterns', left])

/** Runs tests until one fails. */
const tested = async (copy: string, which: string[]): Promise<Verdict> => {
  const msMax = which === wholeSuite ? suiteMsMax : fileMsMax
  const { env, drop } = await ownDatabase()
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
  // A test that an earlier run knew may be gone, or stand in a file that is not asked.
  if (status === 0 || /^error: regex .* matched 0 tests/m.test(output))
    return { fate: 'survived', by: '', seconds }
  if (isLate) return { fate: 'killed', by: `no end in ${msMax / 1000} s`, seconds }
  const [, by] = /^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/m.exec(output) ?? []
  const isBarren = by === undefined || by === '(unnamed)' || /could not sign up: 5/.test(output)
  const isSlow = /timed out after \d+ms/.test(output)
  return {
    fate: isBarren ? 'stillborn' : 'killed',
    by: by === undefined ? output.slice(-300) : `${by}${isSlow ? ' (timed out)' : ''}`,
    seconds,
  }
}

/** Which test killed a mutant in an earlier run, by the mutant's name without its line. */
const killers = new Map(
  [...(KNOWN ? await Bun.file(KNOWN).text() : '').matchAll(/^killed \S+ s {2}(.*)\n {4}by (.*)$/gm)]
    .filter(([, , by = '']) => !by.endsWith(' (timed out)'))
    .map(([, name = '', by = '']): [string, string] => [
      name.replace(/:\d+ /, ' '),
      (by.split(' > ').at(-1) ?? '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    ]),
)

const judged = async (copy: string, mutant: Mutant): Promise<Verdict> => {
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
    ...(isWitnessed(mutant) ? [witnessing] : []),
    ...(/^(bound|closed)$/.test(mutant.kind) ? [describing] : []),
    ...files.map((file) => [file]),
    ...(QUICK ? [] : [wholeSuite]),
  ]
  try {
    let seconds = 0
    for (const files of stages) {
      const verdict = await tested(copy, files)
      seconds += verdict.seconds
      if (verdict.fate !== 'survived' || isStopping) return { ...verdict, seconds }
    }
    return { fate: 'survived', by: '', seconds }
  } finally {
    await Bun.write(path, source)
  }
}

const main = async (): Promise<number> => {
  const all = await telling()
  const seed = Number(SEED ?? Math.floor(Math.random() * 1_000_000))
  const isDrawn = Boolean(MUTANTS) && MUTANTS !== 'all'
  const few = isDrawn
    ? drawn(all, Number(MUTANTS), seed)
    : all.filter((mutant) => MUTANTS === 'all' || isRequired(mutant))
  const log = SKIP ? await Bun.file(SKIP).text() : ''
  const known = new Set([...log.matchAll(/^killed [\d.]+ s {2}(.*)$/gm)].map(([, name]) => name))
  const wanted = few.filter((mutant) => {
    const name = nameOf(mutant)
    return new RegExp(ONLY ?? '').test(name) && !known.has(name)
  })
  console.log(
    `${wanted.length} of ${all.length} mutants (${equivalent.length} more are the same as the original)${isDrawn ? `, SEED=${seed}` : ''}`,
  )

  const fates: Record<Fate, string[]> = { killed: [], survived: [], stillborn: [] }
  const waiting = [...wanted]
  const started = performance.now()
  const work = async () => {
    const copy = await copied()
    try {
      for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
        const { fate, by, seconds } = await judged(copy, mutant)
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
    // What runs is cut short, and clears up behind itself.
    isStopping = true
    for (const run of running) run.kill('SIGKILL')
  })
process.exit(await main())
