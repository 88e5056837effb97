/**
 * A function that is made when it is first called, and kept. What is dear to make, such as the statements of a
 * repository, is then not waited for by a start that it would only hold up.
 */
export const lazy = <Asked extends unknown[], Given>(
  make: () => (...asked: Asked) => Given,
): ((...asked: Asked) => Given) => {
  let made: ReturnType<typeof make> | undefined
  return (...asked) => {
    made ??= make()
    return made(...asked)
  }
}
