import { createEventParser, type StreamEvent } from '../support/event-stream.ts'
import { accept, dial } from './wire.ts'

type Task = { id: string; version: number; title: string; completed: boolean }
type Change = { op: 'upsert'; task: Task } | { op: 'delete'; id: string }
type Page = { changes: Change[]; next: string; has_more: boolean }

type Needs = {
  token: string
  /** The ports to connect to; one is chosen at random. */
  ports: () => number[]
  fail: (what: string) => void
}

/** A client that keeps a copy by the event stream, and connects again whenever its connection ends. */
export const createFollower = ({ token, ports, fail }: Needs) => {
  const tasks = new Map<string, Task>()
  const versions = new Map<string, number>()
  /** The tasks whose reminders were received, each at one time. */
  const reminders = new Map<string, string>()
  const counts = { events: 0, connections: 0 }
  let since: string | undefined
  let connection = new AbortController()
  let isStopped = false

  const get = (path: string, signal: AbortSignal) => {
    const among = ports()
    const port = among[Math.floor(Math.random() * among.length)] ?? 1
    return fetch(`http://127.0.0.1:${port}${path}`, {
      headers: {
        authorization: `Bearer ${token}`,
        ...(since !== undefined && { 'last-event-id': since }),
      },
      keepalive: false,
      signal,
    })
  }

  const upsert = (task: Task, isRepeatable: boolean) => {
    const known = versions.get(task.id) ?? 0
    if (task.version < known) fail(`out of order: version ${task.version} after ${known}`)
    if (task.version === known && !isRepeatable) fail(`version ${known} was sent twice`)
    versions.set(task.id, task.version)
    tasks.set(task.id, task)
  }
  const remind = ({ remind_at, task }: { remind_at: string; task: Task }) => {
    if (reminders.get(task.id) === remind_at) fail('a reminder was sent twice')
    reminders.set(task.id, remind_at)
  }
  const apply = ({ id, event, data }: StreamEvent) => {
    counts.events++
    if (event === 'upsert') upsert(data, false)
    if (event === 'delete') tasks.delete(data.id)
    if (event === 'reminder') remind(data)
    if (id !== undefined) since = id
  }

  const readAll = async () => {
    for (;;) {
      const query = since === undefined ? '' : `&since=${since}`
      const response = await get(`/api/tasks/changes?limit=200${query}`, connection.signal)
      if (response.status !== 200) throw new Error(`status ${response.status}`)
      const page = (await response.json()) as Page
      for (const change of page.changes)
        if (change.op === 'upsert') upsert(change.task, true)
        else tasks.delete(change.id)
      since = page.next
      if (!page.has_more) return
    }
  }

  const follow = async () => {
    const response = await get('/api/tasks/events', connection.signal)
    // Too many streams: the instance has not noticed yet that others ended.
    if ([400, 401, 403, 404, 410, 422].includes(response.status)) fail(`status ${response.status}`)
    if (response.status !== 200) throw new Error('later')
    counts.connections++
    const parser = createEventParser()
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? [])
      for (const event of parser.push(decoder.decode(chunk, { stream: true }))) apply(event)
  }

  const run = async () => {
    while (!isStopped) {
      connection = new AbortController()
      try {
        if (since === undefined) await readAll()
        await follow()
      } catch {
        // Any end of a connection is one that clients have to survive.
      }
      await Bun.sleep(20 + Math.random() * 80)
    }
  }
  const running = run()

  return {
    counts,
    tasks,
    reminders,
    /** Breaks the connection. */
    cut: () => connection.abort(),
    stop: async () => {
      isStopped = true
      connection.abort()
      await running
    },
  }
}

export type Follower = ReturnType<typeof createFollower>

/** A proxy that passes data of the server on in blocks of 4 KiB only, or when the server closes. */
export const bufferingProxy = (port: () => number) => {
  const blockBytes = 4096
  const server = accept((near) => {
    let held = Buffer.alloc(0)
    const flush = (all: boolean) => {
      const bytes = all ? held.length : held.length - (held.length % blockBytes)
      if (bytes > 0) near.write(held.subarray(0, bytes))
      held = held.subarray(bytes)
    }
    const far = dial(port(), {
      data: (bytes) => {
        held = Buffer.concat([held, bytes])
        // A response that is complete is passed on: it is not a stream.
        flush(!held.includes('text/event-stream') && held.includes('\r\n\r\n'))
      },
      closed: () => {
        flush(true)
        near.end()
      },
    }).catch(() => {
      near.reset()
      return undefined
    })
    return {
      data: (bytes) => void far.then((wire) => wire?.write(bytes)),
      closed: () => void far.then((wire) => wire?.end()),
    }
  })
  return { port: server.port, stop: () => server.stop() }
}
