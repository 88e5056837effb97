import { accept, dial, type Listeners, type Wire } from './wire.ts'

/**
 * What happens to connections:
 * - `pass`: all data is forwarded;
 * - `delay`: each piece of data is delayed by `delayMs`;
 * - `slow-connect`: each new connection is delayed, and is fast afterwards;
 * - `drop`: data is dropped in both directions, on old and new connections;
 * - `reset`: old connections are reset, new ones as soon as they are accepted;
 * - `close`: the same with FIN;
 * - `silent`: new connections are accepted and get no data; old ones continue;
 * - `mute`: data of the server is dropped;
 * - `half-open`: the side of the server is closed without a notice to the client; new connections are silent;
 * - `vanished`: on old connections all bytes are dropped, new ones are refused.
 */
export type Mode =
  | 'pass'
  | 'delay'
  | 'slow-connect'
  | 'drop'
  | 'reset'
  | 'close'
  | 'silent'
  | 'half-open'
  | 'mute'
  | 'vanished'

/** A proxy between the service and a server that injects faults of a network. */
export const faultProxy = (port: number) => {
  let mode: Mode = 'pass'
  let delayMs = 0
  let accepted = 0
  const pairs = new Set<{ near: Wire; far: Wire | undefined }>()

  /** In order, because every piece has the same delay. */
  const pass = (bytes: Buffer, to: () => Wire | undefined) => {
    if (mode === 'drop' || mode === 'vanished') return
    if (mode === 'delay') setTimeout(() => to()?.write(bytes), delayMs)
    else to()?.write(bytes)
  }

  const join = async (pair: { near: Wire; far: Wire | undefined }, early: Buffer[]) => {
    if (mode === 'slow-connect') await Bun.sleep(delayMs)
    if (pair.near.closed) return
    pair.far = await dial(port, {
      data: (bytes) => {
        if (mode !== 'mute') pass(bytes, () => pair.near)
      },
      closed: () => {
        if (mode !== 'drop' && mode !== 'half-open' && mode !== 'vanished') pair.near.end()
      },
    })
    if (pair.near.closed) pair.far.end()
    for (const bytes of early.splice(0)) pair.far.write(bytes)
  }

  const open = (near: Wire): Listeners => {
    accepted++
    const pair: { near: Wire; far: Wire | undefined } = { near, far: undefined }
    const early: Buffer[] = []
    if (mode === 'reset') near.reset()
    else if (mode === 'close') near.end()
    else {
      pairs.add(pair)
      if (mode !== 'silent' && mode !== 'drop' && mode !== 'half-open')
        void join(pair, early).catch(() => near.reset())
    }
    return {
      data: (bytes) => {
        if (pair.far === undefined) early.push(bytes)
        else pass(bytes, () => pair.far)
      },
      closed: () => {
        pairs.delete(pair)
        pair.far?.end()
      },
    }
  }
  let server = accept(open)

  return {
    port: server.port,
    accepted: () => accepted,
    set: (next: Mode, ms = 0) => {
      if (next === 'vanished') server.refuse()
      else if (mode === 'vanished') server = accept(open, server.port)
      mode = next
      delayMs = ms
      for (const { near, far } of pairs) {
        if (next === 'reset') near.reset()
        if (next === 'close') near.end()
        if (next === 'reset' || next === 'close' || next === 'half-open') far?.end()
      }
      if (next === 'reset' || next === 'close') pairs.clear()
    },
    stop: () => server.stop(),
  }
}

export type FaultProxy = ReturnType<typeof faultProxy>
