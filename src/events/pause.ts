/** A wait that can be ended from outside. */
export class Pause {
  #resume: (() => void) | undefined

  /** Until `end`, or for `ms`, which may be infinite. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(() => this.end(), ms) : undefined
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
