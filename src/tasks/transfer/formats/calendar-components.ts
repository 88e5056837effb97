import { throwInvalidRequest } from '../../../http/problem.ts'

type Lines = { line: number; lines: string[] }

/**
 * The lines of the tasks and time zones of a calendar, and the names of its other components. 422 if the components are not
 * nested properly. So each task is parsed by itself, and a fault is one of its line.
 */
export const componentsOf = (text: string) => {
  const all = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  const first = all.find((line) => line.trim() !== '') ?? ''
  if (!/^BEGIN:VCALENDAR\s*$/i.test(first))
    throwInvalidRequest('', 'is not iCalendar: it must start with BEGIN:VCALENDAR')
  const found: { todos: Lines[]; zones: Lines[]; others: string[] } = {
    todos: [],
    zones: [],
    others: [],
  }
  const open: string[] = []
  let start = 0
  for (const [at, line] of all.entries()) {
    const [, edge = '', name = ''] = /^(BEGIN|END):([\w-]+)\s*$/i.exec(line) ?? []
    if (edge.toUpperCase() === 'BEGIN') {
      open.push(name.toUpperCase())
      if (open.length === depthOf(open)) start = at
    }
    if (edge.toUpperCase() !== 'END') continue
    const isWhole = open.length === depthOf(open)
    if (open.pop() !== name.toUpperCase())
      throwInvalidRequest(`/line/${at + 1}`, 'ends another component')
    if (!isWhole || name.toUpperCase() === 'VCALENDAR') continue
    const component = { line: start + 1, lines: all.slice(start, at + 1) }
    if (name.toUpperCase() === 'VTODO') found.todos.push(component)
    else if (name.toUpperCase() === 'VTIMEZONE') found.zones.push(component)
    else found.others.push(name.toUpperCase())
  }
  if (open.length > 0) throwInvalidRequest('', `is incomplete: END:${open.at(-1)} is missing`)
  return found
}

/** The depth of a task or time zone: within a calendar, or beside it, as in some collections of samples. */
const depthOf = ([outermost]: readonly string[]): number => (outermost === 'VCALENDAR' ? 2 : 1)

/** A longer line is refused: ical.js takes quadratic time for parameters (two minutes for 10 MiB). */
const lineMax = 100_000

/**
 * The lines of a component without folding (RFC 5545 §3.1); undefined if one is too long. A day without `VALUE=DATE`, and a
 * time of an alarm without `VALUE=DATE-TIME`, as some programs write them, get that.
 */
export const unfold = (lines: readonly string[]): string[] | undefined => {
  const unfolded: string[][] = []
  for (const line of lines) {
    const last = unfolded.at(-1)
    if (last && /^[ \t]/.test(line)) last.push(line.slice(1))
    else unfolded.push([line])
  }
  const whole = unfolded.map((parts) => parts.join(''))
  if (whole.some(({ length }) => length > lineMax)) return undefined
  return whole.map((line) =>
    line
      .replace(/^(DUE|DTSTART):(\d{8})$/i, '$1;VALUE=DATE:$2')
      .replace(/^TRIGGER:(\d{8}T\d{6}Z?)$/i, 'TRIGGER;VALUE=DATE-TIME:$1'),
  )
}
