import { spyOn } from 'bun:test'

/**
 * Holds every verification of a password until it is let go, so that how long a queue gets is no
 * matter of how fast the machine hashes, and how fast it asks.
 */
export const heldHashing = () => {
  const { verify } = Bun.password
  const gate = Promise.withResolvers<void>()
  const spy = spyOn(Bun.password, 'verify').mockImplementation(async (...asked) => {
    await gate.promise
    return verify(...asked)
  })
  return {
    letGo: gate.resolve,
    [Symbol.dispose]: () => {
      gate.resolve()
      spy.mockRestore()
    },
  }
}
