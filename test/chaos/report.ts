import { cutHeader } from './balancer.ts'
import { type Answer, Cut, Hung } from './http.ts'

const notesMax = 8

export type Totals = ReturnType<typeof createTotals>

/** The effects of one fault on the clients. */
export const createTotals = (name: string) => {
  const totals = {
    name,
    rounds: 0,
    requests: 0,
    /** 503, 429, or 409 while a request with the same key is in flight: by design. */
    refused: 0,
    /** In flight at an instance when it was killed. Under any other fault this is a failure. */
    cut: 0,
    cutsAllowed: false,
    failed: 0,
    hung: 0,
    /** Acknowledged writes that are not stored, or that were executed twice. */
    lost: 0,
    recoveriesMs: [] as number[],
    notes: [] as string[],
    facts: [] as string[],
  }
  const note = (text: string) => void (totals.notes.length < notesMax && totals.notes.push(text))

  return Object.assign(totals, {
    fail: (what: string) => {
      totals.failed++
      note(what)
    },
    lose: (what: string) => {
      totals.lost++
      note(what)
    },
    /** A condition of this fault. If it is false, the fault has failed. */
    hold: (what: string, matches: boolean) => {
      if (!matches) {
        totals.failed++
        note(what)
      }
    },
    fact: (text: string) => void totals.facts.push(text),
    recovered: (ms: number) => void totals.recoveriesMs.push(ms),

    /** Counts one outcome. Returns the response if its status is `wanted`, otherwise undefined. */
    count: (what: string, outcome: Answer | Error, wanted: readonly number[]) => {
      totals.requests++
      if (outcome instanceof Error) {
        if (outcome instanceof Hung) totals.hung++
        else if (outcome instanceof Cut && totals.cutsAllowed) totals.cut++
        else totals.failed++
        if (!(outcome instanceof Cut && totals.cutsAllowed)) note(`${what}: ${outcome.message}`)
        return undefined
      }
      const { status, body } = outcome
      if (wanted.includes(status)) return outcome
      const cutBy = outcome.header(cutHeader)
      if (cutBy === 'hung') totals.hung++
      else if (cutBy !== undefined && totals.cutsAllowed) {
        totals.cut++
        return undefined
      } else if (isRefusal(outcome)) {
        totals.refused++
        return undefined
      } else totals.failed++
      note(`${what}: ${status} ${cutBy ?? JSON.stringify(body)}`)
      return undefined
    },
  })
}

/** It has `Retry-After`, and is a problem of the catalogue. */
const isRefusal = ({ status, body, header }: Answer): boolean => {
  if (status === 409) return body?.code === 'idempotency-in-flight'
  const code = { 503: 'unavailable', 429: 'rate-limited' }[status]
  return code !== undefined && body?.code === code && header('retry-after') !== undefined
}

export const hasPassed = ({ failed, hung, lost }: Totals) => failed + hung + lost === 0

export const median = (values: number[]): number => quantile(values, 0.5)

export const quantile = (values: number[], part: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

export const formatTable = (allTotals: Totals[]): string => {
  const head = [
    ...['fault', 'rounds', 'requests', 'refused', 'cut', 'failed', 'hung'],
    ...['acknowledged lost', 'recovery ms (median/max)'],
  ]
  const rows = allTotals.map((totals) => [
    totals.name,
    ...[totals.rounds, totals.requests, totals.refused, totals.cut, totals.failed, totals.hung],
    totals.lost,
    totals.recoveriesMs.length === 0
      ? '–'
      : `${median(totals.recoveriesMs).toFixed(0)} / ${Math.max(...totals.recoveriesMs).toFixed(0)}`,
  ])
  const cells = [head, ...rows].map((row) => row.map(String))
  const widths = head.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)))
  const lines = cells.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  '),
  )
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '))
  return lines.join('\n')
}
