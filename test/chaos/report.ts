import { cutHeader } from './balancer.ts'
import { type Answer, Cut, Hung } from './http.ts'

const notesMax = 8

export type Totals = ReturnType<typeof tallyOf>

/** The effects of one fault on the clients. */
export const tallyOf = (name: string) => {
  const tally = {
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
  const note = (text: string) => void (tally.notes.length < notesMax && tally.notes.push(text))

  return Object.assign(tally, {
    fail: (what: string) => {
      tally.failed++
      note(what)
    },
    lose: (what: string) => {
      tally.lost++
      note(what)
    },
    /** A condition of this fault. If it is false, the fault has failed. */
    hold: (what: string, matches: boolean) => {
      if (!matches) {
        tally.failed++
        note(what)
      }
    },
    fact: (text: string) => void tally.facts.push(text),
    recovered: (ms: number) => void tally.recoveriesMs.push(ms),

    /** Counts one outcome. Returns the response if its status is `wanted`, otherwise undefined. */
    count: (what: string, outcome: Answer | Error, wanted: readonly number[]) => {
      tally.requests++
      if (outcome instanceof Error) {
        if (outcome instanceof Hung) tally.hung++
        else if (outcome instanceof Cut && tally.cutsAllowed) tally.cut++
        else tally.failed++
        if (!(outcome instanceof Cut && tally.cutsAllowed)) note(`${what}: ${outcome.message}`)
        return undefined
      }
      const { status, body } = outcome
      if (wanted.includes(status)) return outcome
      const cutBy = outcome.header(cutHeader)
      if (cutBy === 'hung') tally.hung++
      else if (cutBy !== undefined && tally.cutsAllowed) {
        tally.cut++
        return undefined
      } else if (isRefusal(outcome)) {
        tally.refused++
        return undefined
      } else tally.failed++
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

export const isRight = ({ failed, hung, lost }: Totals) => failed + hung + lost === 0

export const median = (values: number[]): number => quantile(values, 0.5)

export const quantile = (values: number[], part: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

export const tableOf = (tallies: Totals[]): string => {
  const head = [
    ...['fault', 'rounds', 'requests', 'refused', 'cut', 'failed', 'hung'],
    ...['acknowledged lost', 'recovery ms (median/max)'],
  ]
  const rows = tallies.map((tally) => [
    tally.name,
    ...[tally.rounds, tally.requests, tally.refused, tally.cut, tally.failed, tally.hung],
    tally.lost,
    tally.recoveriesMs.length === 0
      ? '–'
      : `${median(tally.recoveriesMs).toFixed(0)} / ${Math.max(...tally.recoveriesMs).toFixed(0)}`,
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
