import { createServer } from '../../src/http/server.ts'
import { createLog } from '../../src/log.ts'
import { service } from './service.ts'

/** A service that listens on a free port of loopback, for clients that speak HTTP. */
export const listening = async (env: Record<string, string> = {}) => {
  const here = await service(env)
  const log = createLog(() => {}, 'silent')
  const settings = { host: '127.0.0.1', port: 0, drainMs: 0 }
  const { url, stop } = createServer(settings, (request) => here.app.fetch(request), log).start()
  return {
    ...here,
    origin: url.origin,
    stop: async () => {
      here.stopping.abort()
      await stop()
    },
  }
}
