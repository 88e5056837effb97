import { afterAll } from 'bun:test'
import { againAll, seed } from './budget.ts'
import { notes, rows } from './totals.ts'

/** Preloaded before the families: prints the totals of all of them at the end. */
const startedAtMs = performance.now()
console.log(`attack: seed ${seed}; again: ${againAll}`)

afterAll(() => {
  const total = (name: 'tried' | 'refused' | 'wrong') =>
    rows.reduce((sum, row) => sum + row[name], 0)
  const lines = [
    ['family', 'tried', 'refused', 'wrong'],
    ...rows.map(({ family, tried, refused, wrong }) => [family, tried, refused, wrong]),
    ['all', total('tried'), total('refused'), total('wrong')],
  ].map(([family, ...counts]) =>
    [String(family).padEnd(64), ...counts.map((count) => String(count).padStart(9))].join(''),
  )
  const seconds = (performance.now() - startedAtMs) / 1000
  console.log(
    ['', ...lines, '', ...notes, `in ${seconds.toFixed(1)} s; again: ${againAll}`, ''].join('\n'),
  )
})
