import type { Log } from '../log.ts'

/** Bytes to send, the last ones if `isLast`. */
export type Chunk = { bytes: Uint8Array; isLast: boolean }

type Source = {
  /** Settles when there is something to send; undefined if the client is gone. */
  next: () => Promise<Chunk | undefined>
  close: () => void
  log: Log
}

/** A response body that asks for the next bytes when the previous ones were sent. */
export const pullBody = ({ next, close, log }: Source): ReadableStream<Uint8Array> => {
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    try {
      const chunk = await next()
      if (chunk === undefined) return
      controller.enqueue(chunk.bytes)
      if (!chunk.isLast) return
      close()
      controller.close()
    } catch (error) {
      // The connection breaks, and the client connects again.
      log.error('stream failed', { error })
      close()
      throw error
    }
  }
  return new ReadableStream<Uint8Array>({ pull, cancel: close }, { highWaterMark: 0 })
}
