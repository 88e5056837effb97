import { tmpdir } from 'node:os'
import { RedisClient } from 'bun'

export const hasRedis = Bun.which('redis-server') !== null

/** A port that is free at this moment. Another process may take it before the caller. */
export const freePort = () => {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } })
  const { port } = listener
  listener.stop(true)
  return port
}

/** Ends the child when its parent ends in any way: `bun test` has no hook for that. */
const endedWithParent = Bun.which('setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : []

/** A Redis server without persistence. It can be stopped, frozen, and restarted on the same port. */
export const redisServer = async (...options: string[]) => {
  const port = freePort()
  const url = `redis://127.0.0.1:${port}`
  const where = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', tmpdir(), '--save', '']
  const command = [...endedWithParent, 'redis-server', ...where, ...options]
  let child: Bun.Subprocess

  const start = async () => {
    child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' })
    while (!(await answers(port))) {
      if (child.exitCode !== null) throw new Error('redis-server did not start')
      await Bun.sleep(5)
    }
  }
  const stop = async (signal: NodeJS.Signals = 'SIGKILL') => {
    child.kill(signal)
    await child.exited
  }
  await start()

  return {
    url,
    port,
    start,
    stop,
    signal: (signal: NodeJS.Signals) => child.kill(signal),
    /** A client for a test, independent of the service. */
    client: (login = '') =>
      new RedisClient(url.replace('//', `//${login}`), { autoReconnect: false }),
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** Whether the server replies. `NOAUTH` counts as a reply, `LOADING` does not. */
const answers = async (port: number): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open: (socket) => void socket.write('PING\r\n'),
      data: (_, reply) => resolve(!reply.toString().startsWith('-LOADING')),
      close: () => resolve(false),
    },
  }).catch(() => undefined)
  if (socket === undefined) return false
  const answered = await promise
  socket.end()
  return answered
}
