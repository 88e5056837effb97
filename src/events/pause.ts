/** A wait that can be ended from outside. */
export class Pause {
  #resume: (() => void) | undefined

  /** Until `end`, or for `ms`. */
  wait(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.end(), ms)
      this.#resume = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  end(): void {
    this.#resume?.()
    this.#resume = undefined
  }
}
