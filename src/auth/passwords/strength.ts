import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common'

/** With the default of 100, some passwords take 45 ms; with 3, none of 1 000 took 3 ms, at the same ratings. */
const l33tMaxSubstitutions = 3
const estimator = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs, l33tMaxSubstitutions })

/** Code points. The time grows with the square of the length. */
const estimatedMax = 32
/** zxcvbn's ratings are 0 to 4; 1 is fewer than a million guesses. */
const guessableMax = 1

/** Whether zxcvbn rates the password as guessable: common ones with decoration, repetitions, keyboard rows, dates. */
export const isGuessable = (password: string): boolean =>
  estimator.check([...password].slice(0, estimatedMax).join('')).score <= guessableMax
