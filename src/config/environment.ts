export type Environment = Record<string, string | undefined>
export type EnvReader = ReturnType<typeof createEnvReader>

/** All invalid settings, one line each. A line never contains the value of a variable, which may be a secret. */
export class ConfigError extends Error {
  readonly problems: string[]

  constructor(problems: string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Reads variables by kind. An invalid value is added to `problems`, and its default is returned. */
export const createEnvReader = (env: Environment) => {
  const problems: string[] = []
  /** All variables that were asked for. */
  const known = new Set<string>()
  const problem = (variable: string, what: string) => void problems.push(`${variable}: ${what}`)
  const text = (variable: string) => {
    known.add(variable)
    return env[variable] || undefined
  }

  return {
    problems,
    problem,
    known,
    /** An empty variable counts as unset: Compose files and CI systems pass it so. */
    text,

    integer(variable: string, fallback: number, [min, max]: readonly [number, number]) {
      const value = parseWholeNumber(text(variable) ?? String(fallback))
      if (value >= min && value <= max) return value
      problem(variable, `is not a whole number from ${min} to ${max}; unset it for ${fallback}`)
      return fallback
    },

    choice<const Value extends string>(
      variable: string,
      fallback: NoInfer<Value>,
      values: readonly Value[],
    ): Value {
      const given = text(variable)
      const value = given === undefined ? fallback : values.find((value) => value === given)
      if (value !== undefined) return value
      problem(variable, `is not one of ${values.join(', ')}; unset it for ${fallback}`)
      return fallback
    },

    /** Like `matching`, without a default. */
    optional(variable: string, pattern: RegExp, what: string) {
      const value = text(variable)
      if (value === undefined || pattern.test(value)) return value
      problem(variable, `is not ${what}`)
      return undefined
    },

    matching(variable: string, fallback: string, pattern: RegExp, what: string) {
      const value = text(variable) ?? fallback
      if (pattern.test(value)) return value
      problem(variable, `is not ${what}; unset it for ${fallback}`)
      return fallback
    },
  }
}

/** Decimal digits only: `Number` accepts `1e3`, `0x10` and ` 5` too. NaN for any other text. */
export const parseWholeNumber = (text: string) =>
  /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : Number.NaN
