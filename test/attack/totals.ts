import { expect } from 'bun:test'
import { again } from './budget.ts'

type Row = { family: string; tried: number; refused: number; wrong: number }
const shared = globalThis as typeof globalThis & { attackRows?: Row[]; attackNotes?: string[] }
shared.attackRows ??= []
shared.attackNotes ??= []
/** The totals of each family over all files. */
export const rows = shared.attackRows
/** Figures for the reader, without a guarantee. */
export const notes = shared.attackNotes

const shownMax = 10

/** Counts the cases of a family, and collects the failures. `file` is the name without `.test.ts`. */
export const totals = (file: string, family: string) => {
  const row: Row = { family, tried: 0, refused: 0, wrong: 0 }
  rows.push(row)
  const shown: string[] = []

  const wrong = (what: string, at?: number) => {
    row.wrong += 1
    if (shown.length < shownMax) shown.push(`${what.slice(0, 1500)}\n    again: ${again(file, at)}`)
  }

  return {
    row,
    wrong,
    /** Counts one case, and whether it was refused. */
    tried: (refused: boolean) => {
      row.tried += 1
      if (refused) row.refused += 1
    },
    /** Records these failures of a case. */
    allWrong: (wrongs: readonly string[], what: string, at?: number) => {
      for (const one of wrongs) wrong(`${one}: ${what}`, at)
    },
    /** Counts one case without a failure. */
    matches: () => {
      expect(shown).toEqual([])
      expect(row.wrong).toBe(0)
      expect(row.tried).toBeGreaterThan(0)
    },
  }
}

export type Totals = ReturnType<typeof totals>
