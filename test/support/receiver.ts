import type { Server } from 'bun'
import { Webhook } from 'standardwebhooks'

type Received = { headers: Record<string, string>; body: string; path: string }

/** Responds to a delivery. */
export type Behaviour = (received: Received) => Response | Promise<Response>

export const ok: Behaviour = () => new Response(null, { status: 204 })

/** An HTTP server on loopback that receives webhooks. */
export const startReceiver = (behaviour: Behaviour = ok) => {
  const all: Received[] = []
  let respond = behaviour
  let changed = Promise.withResolvers<void>()
  const server: Server<undefined> = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const received = {
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
        path: new URL(request.url).pathname,
      }
      all.push(received)
      changed.resolve()
      changed = Promise.withResolvers()
      return respond(received)
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/hook`,
    port: server.port ?? 0,
    all,
    behave: (next: Behaviour) => {
      respond = next
    },
    /** The bodies that were received. */
    bodies: () => all.map(({ body }) => JSON.parse(body)),
    /** The titles, or ids of deleted tasks. */
    titles: () => all.map(({ body }) => JSON.parse(body).data.title ?? 'deleted'),
    until: async (count: number) => {
      while (all.length < count) await changed.promise
    },
    stop: () => server.stop(true),
  }
}

/** Verifies a delivery with the library of the specification; throws if the signature is wrong. */
export const verified = ({ headers, body }: Received, secret: string): unknown =>
  new Webhook(secret).verify(body, headers)
