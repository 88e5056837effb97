import { createConnection } from 'node:net'

const probeMs = 3000

/** What a bare connection finds out; Bun's client says of every failure that the connection was closed. */
export const diagnoseRedis = async (url: string): Promise<string> => {
  const { hostname, port, protocol } = new URL(url)
  const isTls = /^(rediss|valkeys):$/.test(protocol)
  const reply = await firstReply(hostname.replace(/^\[|\]$/g, ''), Number(port || 6379), isTls)
  if (reply === 'ECONNREFUSED')
    return 'nothing listens there: check host and port in REDIS_URL, and that it runs'
  if (reply === 'ENOTFOUND' || reply === 'EAI_AGAIN')
    return 'there is no such host: check REDIS_URL'
  if (reply === 'silent') return 'no answer: check host, port and firewall'
  if (isTls)
    return 'it takes connections, but not by TLS with a certificate that verifies: check REDIS_URL, or give its CA by NODE_EXTRA_CA_CERTS'
  if (reply.startsWith('-NOAUTH'))
    return 'it asks for a password, and REDIS_URL has none or another: redis://user:password@host'
  if (/^[+-]/.test(reply))
    return 'it answers, but not to this user, password or database number: check REDIS_URL'
  return 'what listens there is no Redis: check REDIS_URL'
}

/** The reply to a PING, a system's code, or `silent`; of TLS only that somebody listens. */
const firstReply = (host: string, port: number, isTls: boolean): Promise<string> => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = createConnection({ host, port })
  socket.setTimeout(probeMs, () => resolve('silent'))
  socket.on('connect', () => (isTls ? resolve('connected') : socket.write('PING\r\n')))
  socket.on('data', (data) => resolve(data.toString('latin1')))
  socket.on('error', (error) => resolve('code' in error ? String(error.code) : 'failed'))
  socket.on('close', () => resolve('closed'))
  return promise.finally(() => socket.destroy())
}
