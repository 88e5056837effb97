import { isPossible } from './occurrences.ts'
import { parseRule } from './rule.ts'

/** How many different rules of one file are checked. Each takes up to 6 ms, and a file may have 50 000. */
const rulesMax = 1000

/** Whether a rule has an occurrence after a day. A text that is no rule is true: its fault is reported elsewhere. */
export const hasOccurrence = (rrule: string, start: Temporal.PlainDate): boolean => {
  const rule = parseRule(rrule)
  return 'mismatch' in rule || isPossible(rule, start)
}

/**
 * The same for the tasks of one file, each rule and day once. After a thousand of them, rules are taken as they are; one without
 * an occurrence ends its series at the first completion.
 */
export const createRuleChecker = (): typeof hasOccurrence => {
  const known = new Map<string, boolean>()
  return (rrule, start) => {
    const key = `${start} ${rrule}`
    const found = known.get(key) ?? (known.size >= rulesMax || hasOccurrence(rrule, start))
    if (known.size < rulesMax) known.set(key, found)
    return found
  }
}
