import {
  type Answer,
  answerOf,
  bytesOf,
  type Channel,
  hungMs,
  openChannel,
  type Sent,
} from './http.ts'

/** Open connections for requests that must be sent at the same moment. */
export const openAll = async (ports: readonly number[], count: number): Promise<Channel[]> => {
  const channels: Channel[] = []
  for (let at = 0; at < count; at += 100) {
    const batch = Array.from({ length: Math.min(100, count - at) }, (_, index) =>
      openChannel(ports[(at + index) % ports.length] ?? 0),
    )
    channels.push(...(await Promise.all(batch)))
  }
  return channels
}

/** Sends one request on each connection at once, and returns the outcomes. */
export const sendAll = (
  channels: readonly Channel[],
  sentOf: (at: number) => Sent,
  timeoutMs = hungMs,
): Promise<(Answer | Error)[]> =>
  Promise.all(
    channels.map(async (channel, at) => {
      const from = performance.now()
      try {
        const message = await channel.exchange(bytesOf(sentOf(at)), timeoutMs)
        return answerOf(message, performance.now() - from)
      } catch (error) {
        return error as Error
      }
    }),
  )

/** The same on new connections. */
export const burst = async (
  ports: readonly number[],
  count: number,
  sentOf: (at: number) => Sent,
  timeoutMs = hungMs,
) => {
  const channels = await openAll(ports, count)
  const outcomes = await sendAll(channels, sentOf, timeoutMs)
  for (const channel of channels) channel.close()
  return outcomes
}
