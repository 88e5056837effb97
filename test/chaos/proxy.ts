import { accept, dial, type Listeners, type Wire } from './wire.ts'

/**
 * What happens to connections:
 * - `pass`: all goes through;
 * - `delay`: each piece of data is held back for `delayMs`;
 * - `slow-connect`: each new connection is, and then it is as fast as any;
 * - `drop`: what comes is thrown away, in both directions, on connections old and new;
 * - `reset`: old connections are reset, new ones as soon as they are accepted;
 * - `close`: the same, politely;
 * - `silent`: new connections are accepted and never hear a word; old ones go on;
 * - `mute`: what the server says is thrown away;
 * - `half-open`: the server's side is lost without the client being told; new ones are silent;
 * - `vanished`: old connections are as if all bytes were dropped, new ones are refused.
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

/** A proxy between the service and a server, which can go wrong as networks do. */
export const faultProxy = (port: number) => {
  let mode: Mode = 'pass'
  let delayMs = 0
  let accepted = 0
  const pairs = new Set<{ near: Wire; far: Wire | undefined }>()

  /** In order, since every piece waits as long. */
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
