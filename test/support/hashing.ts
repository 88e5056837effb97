import { spyOn } from 'bun:test'

/**
 * Delays every password verification until `release` is called, so that the length of the queue does not depend on the
 * speed of the machine.
 */
export const holdPasswordHashing = () => {
  const { verify } = Bun.password
  const gate = Promise.withResolvers<void>()
  const first = Promise.withResolvers<void>()
  const spy = spyOn(Bun.password, 'verify').mockImplementation(async (...args) => {
    first.resolve()
    await gate.promise
    return verify(...args)
  })
  return {
    /** Resolves when the first verification has started. */
    started: first.promise,
    release: gate.resolve,
    [Symbol.dispose]: () => {
      gate.resolve()
      spy.mockRestore()
    },
  }
}
