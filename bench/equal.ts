import { password, taskId, userId } from './fixture.ts'
import type { System } from './systems.ts'

type Request = {
  method: string
  path: string
  user?: number
  token?: string
  headers?: Record<string, string>
  body?: unknown
}
type ResponseBody = { status: number; body: unknown; headers: Record<string, string | null> }

/** Headers that clients of each route use. Other headers differ by framework. */
const headersOfInterest = ['etag', 'cache-control', 'content-type', 'x-content-type-options']
/** Headers that must be present, with any value. */
const headersPresent = ['x-request-id', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset']

/**
 * Sends the same requests to every system, and reports each response that differs from taskwarden's in status, members,
 * values or headers: such a system does other work.
 */
export const checkEqual = async (
  systems: System[],
  tokens: string[],
  tasksPerUser: number,
  restored: () => Promise<void>,
) => {
  const differences: string[] = []
  const [model, ...others] = systems
  if (model === undefined) throw new Error('there is nothing to check')
  const conversation = requestsOf(tokens, tasksPerUser)
  await restored()
  const expected = await converse(model, tokens, conversation)
  for (const other of others) {
    await restored()
    const answers = await converse(other, tokens, conversation)
    for (const [name, answer] of Object.entries(answers)) {
      const [wanted, got] = [expected[name], answer].map((one) => JSON.stringify(one))
      if (wanted !== got)
        differences.push(
          `${other.name}: ${name}\n  ${model.name}: ${wanted}\n  ${other.name}: ${got}`,
        )
    }
  }
  return { checked: Object.keys(conversation).length, differences }
}

const requestsOf = (tokens: string[], tasksPerUser: number): Record<string, Request> => {
  const [first = ''] = tokens
  const kept = `/api/tasks/${taskId(1, 12)}`
  const written = `/api/tasks/${taskId(4, 1)}`
  const put = (body: unknown, headers = {}): Request => ({
    method: 'PUT',
    path: written,
    user: 4,
    body,
    headers,
  })
  const post = (body: unknown): Request => ({ method: 'POST', path: '/api/tasks', user: 1, body })
  const get = (path: string, more: Partial<Request> = {}): Request => ({
    method: 'GET',
    path,
    user: 1,
    ...more,
  })
  const login = (more: object): Request => ({
    method: 'POST',
    path: '/api/auth/login',
    body: { email: 'user1@example.test', password, ...more },
  })
  const draft = {
    title: 'Buy milk 🥛',
    description: 'two',
    priority: 'high',
    due_at: '2027-03-01T09:00:00Z',
    tags: ['a', 'b "c"'],
  }
  return {
    list: get('/api/tasks?limit=20'),
    'list of 5': get('/api/tasks?limit=5'),
    'list without a limit': get('/api/tasks'),
    'limit 0': get('/api/tasks?limit=0'),
    'limit 1e3': get('/api/tasks?limit=1e3'),
    'unknown parameter': get('/api/tasks?nonsense=1'),
    read: get(kept),
    'not modified': get(kept, { headers: { 'if-none-match': '"1"' } }),
    modified: get(kept, { headers: { 'if-none-match': '"2"' } }),
    "another user's": get(`/api/tasks/${taskId(2, 12)}`),
    absent: get(`/api/tasks/${taskId(1, tasksPerUser + 1)}`),
    'no id at all': get('/api/tasks/nonsense'),
    'no token': { method: 'GET', path: kept },
    'forged signature': get(kept, { token: `${first.slice(0, -3)}AAA` }),
    'not a token': get(kept, { token: 'nonsense' }),
    'an ended session': get(kept, { user: tokens.length }),
    'an ended session, writing': { method: 'PATCH', path: `${kept}/complete`, user: tokens.length },
    create: post(draft),
    'create, title only': post({ title: 'Buy milk' }),
    'create without a title': post({ description: 'x' }),
    'create, unknown member': post({ title: 'x', user_id: userId(2) }),
    'create, blank': post({ title: ' ' }),
    'create, too long': post({ title: 'x'.repeat(501) }),
    'create, 500 emoji': post({ title: '😀'.repeat(500) }),
    'create, no such priority': post({ title: 'x', priority: 'top' }),
    'create, no such day': post({ title: 'x', due_at: 'tomorrow' }),
    'create, a tag twice': post({ title: 'x', tags: ['a', 'a'] }),
    'toggle on': { method: 'PATCH', path: `${written}/complete`, user: 4 },
    'toggle off': { method: 'PATCH', path: `${written}/complete`, user: 4 },
    'set completed': {
      method: 'PATCH',
      path: `${written}/complete`,
      user: 4,
      body: { completed: false },
    },
    "toggle another user's": {
      method: 'PATCH',
      path: `/api/tasks/${taskId(2, 1)}/complete`,
      user: 1,
    },
    replace: put({ title: 'Replaced', completed: true, tags: ['x'] }),
    'replace, back': put({ title: 'Task 1', completed: false }),
    'replace, half': put({ title: 'Replaced' }),
    'replace, wrong version': put({ title: 'x', completed: true }, { 'if-match': '"999999"' }),
    remove: { method: 'DELETE', path: `/api/tasks/${taskId(3, tasksPerUser)}`, user: 3 },
    'removed before': { method: 'DELETE', path: `/api/tasks/${taskId(3, tasksPerUser)}`, user: 3 },
    'sign in': login({}),
    'wrong password': login({ password: 'nonsense' }),
    'unknown e-mail': login({ email: 'nobody@example.test' }),
    'sign in, unknown member': login({ name: 'x' }),
  }
}

/** Values that differ by run: ids, times and versions are compared by their format only. */
const comparable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => {
    // Remaining seconds may differ by one.
    if (name === 'expires_in') return [name, 86_400 - Number(member) <= 1]
    if (name === 'access_token') return [name, String(member).split('.').length]
    if (name === 'version' || name === 'next_cursor') return [name, typeof member]
    if (
      name.endsWith('_at') &&
      typeof member === 'string' &&
      Date.parse(member) > Date.parse('2026-01-02')
    )
      return [name, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(member)]
    return [name, comparable(member)]
  })
  return Object.fromEntries(members.sort(([a], [b]) => String(a).localeCompare(String(b))))
}

const converse = async (
  { port }: System,
  tokens: string[],
  conversation: Record<string, Request>,
) => {
  const answers: Record<string, ResponseBody> = {}
  for (const [name, request] of Object.entries(conversation)) {
    const { method, path, user, headers, body } = request
    const token = request.token ?? (user === undefined ? undefined : tokens[user - 1])
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const own = name === 'create' || name === 'create, title only' || name === 'create, 500 emoji'
    // Each system has its own error texts: only the status is compared.
    const shown = response.ok && text ? comparable(JSON.parse(text)) : undefined
    if (own && shown) (shown as { id: unknown }).id = 'its own'
    const relevant = headersOfInterest.map((header): [string, string | null] => {
      const said = response.headers.get(header)
      if (header === 'content-type') return [header, said?.split(';')[0] ?? null]
      if (header === 'etag') return [header, said?.replace(/\d+/, 'n') ?? null]
      return [header, said]
    })
    const present = headersPresent.map((header): [string, string | null] => [
      header,
      response.headers.has(header) ? 'there' : null,
    ])
    const interesting =
      response.ok || response.status === 304
        ? relevant
        : relevant.filter(([header]) => header !== 'etag')
    answers[name] = {
      status: response.status,
      body: shown,
      headers: Object.fromEntries([...interesting, ...present]),
    }
  }
  return answers
}
