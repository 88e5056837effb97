/**
 * A function that is created at its first call. What is expensive to create, such as a compiled schema or a
 * prepared statement, then does not delay the start.
 */
export const lazy = <Args extends unknown[], Result>(
  create: () => (...args: Args) => Result,
): ((...args: Args) => Result) => {
  let created: ReturnType<typeof create> | undefined
  return (...args) => {
    created ??= create()
    return created(...args)
  }
}
