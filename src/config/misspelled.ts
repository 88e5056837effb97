import { distance } from 'fastest-levenshtein'
import type { Environment } from './environment.ts'

export type Misspelled = { variable: string; likely: string }

/** Shorter names are close to too many others, such as HOST to HOME. */
const lengthMin = 7
/** Inserted, removed or replaced characters. */
const distanceMax = 2

/** The variables that are set and whose names are close to a setting, but are none. */
export const findMisspelled = (env: Environment, known: ReadonlySet<string>): Misspelled[] =>
  Object.keys(env).flatMap((variable) => {
    if (known.has(variable) || variable.length < lengthMin) return []
    const name = variable
      .toUpperCase()
      .replaceAll('-', '_')
      .replace(/^TASKWARDEN_/, '')
    const likely = [...known].find((one) => distance(name, one) <= distanceMax)
    return likely === undefined || likely.length < lengthMin ? [] : [{ variable, likely }]
  })
