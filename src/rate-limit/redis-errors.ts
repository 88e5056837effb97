import { createConnection } from 'node:net'

const probeMs = 3000

/** Diagnoses with a plain socket: Bun's client reports every failure as a closed connection. */
export const diagnoseRedis = async (url: string): Promise<string> => {
  const { hostname, port, protocol } = new URL(url)
  const isTls = /^(rediss|valkeys):$/.test(protocol)
  const reply = await firstReply(hostname.replace(/^\[|\]$/g, ''), Number(port || 6379), isTls)
  if (reply === 'ECONNREFUSED')
    return 'no server listens there: check host and port in REDIS_URL, and that the server runs'
  if (reply === 'ENOTFOUND' || reply === 'EAI_AGAIN')
    return 'the host does not exist: check REDIS_URL'
  if (reply === 'silent') return 'no response: check host, port and firewall'
  if (isTls)
    return 'the server accepts connections, but not TLS with a trusted certificate: check REDIS_URL, or set its CA with NODE_EXTRA_CA_CERTS'
  if (reply.startsWith('-NOAUTH'))
    return 'the server requires a password, and REDIS_URL has none or a wrong one: redis://user:password@host'
  if (/^[+-]/.test(reply))
    return 'the server responds, but refuses this user, password or database number: check REDIS_URL'
  return 'the server there is not Redis: check REDIS_URL'
}

/** The reply to PING, a system error code, or `silent`. With TLS, only whether a server listens. */
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
