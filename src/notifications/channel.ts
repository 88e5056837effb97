/** How notifications travel between instances. Messages may be lost: the poll repairs that (`stale-subscribers.ts`). */
export type Channel = {
  /** Sends a text of at most 7 000 bytes to all instances, this one included. */
  publish(text: string): Promise<void>
  /** Receives messages until `close`. `onLost` is called once if the connection fails later. */
  receive(handlers: { onMessage: (text: string) => void; onLost: () => void }): Promise<Reception>
  close(): Promise<void>
}

export type Reception = { close(): void }
