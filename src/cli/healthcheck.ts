import { connect } from 'node:net'
import { createEnvReader } from '../config/environment.ts'
import { parseArguments } from './arguments.ts'
import type { Command } from './command-context.ts'
import { CommandFailed, exitCodes } from './exit-codes.ts'

const timeoutMs = 3000

/**
 * Checks whether the service on this machine responds. A container's health check needs no shell and no client.
 * It uses a socket, because `fetch` would use the proxy of the environment.
 */
export const healthcheck: Command = async (args, { env }) => {
  parseArguments(args)
  const { integer, text, problems } = createEnvReader(env)
  const port = integer('PORT', 3000, [0, 65_535])
  if (problems.length > 0) throw new CommandFailed(problems.join('; '))
  if (port === 0) throw new CommandFailed('PORT is 0: the port of the service is unknown')

  const status = await statusOf(loopbackOf(text('HOST') ?? '::'), port)
  if (status !== '200') throw new CommandFailed(`/health returned ${status} instead of 200`)
  return exitCodes.done
}

/** Where to reach the service: on loopback if it listens on all addresses. */
const loopbackOf = (host: string) => (host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host)

const statusOf = (host: string, port: number): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const fail = (why: string) => reject(new CommandFailed(`no response on port ${port} (${why})`))
  const socket = connect({ host, port })
  socket.setTimeout(timeoutMs, () => fail('timed out'))
  socket.on('connect', () =>
    socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
  )
  // The first segment contains the whole status line.
  socket.on('data', (data) =>
    resolve(/^HTTP\/1\.1 (\d{3}) /.exec(data.toString())?.[1] ?? 'no HTTP'),
  )
  socket.on('error', (error) => fail('code' in error ? String(error.code) : error.message))
  socket.on('close', () => fail('closed'))
  return promise.finally(() => socket.destroy())
}
