import { AsyncLocalStorage } from 'node:async_hooks'
import { unusedLocksIn } from './locks.ts'
import { type Mention, mentionsIn } from './mentions.ts'

/**
 * What a service sends that is not on behalf of the user of the request's token, each with its
 * reason; by what it touches of users' rows. Whatever else is sent for nobody fails the test
 * that has it sent.
 */
const forNobody: Record<string, string> = {
  'read users by email': 'a sign-in: whose account it is, is what is asked',
  'insert into users, insert into user_changes, insert into sessions':
    'a sign-up: the user is new, and is bound by the new id',
  'read user_changes, update users, delete from sessions, insert into sessions':
    'a sign-in: bound to the account that was found by its e-mail',
}
/** The same for a token of another issuer: its subject is no user of ours until it is looked up. */
const forStrangers: Record<string, string> = {
  'read identities by issuer and session_id and subject and user_id, read users by id, read sessions by id and user_id':
    'whose a token of another issuer is, is what is asked',
}
/** The same of what the service does of its own accord. */
const purgeExpired: Record<string, string> = {
  'read tasks by deleted_at':
    'whose trash has something old in it; what follows is a user at a time',
  'read user_changes, read tasks, delete from tasks, insert into task_tombstones':
    'the old trash of one user',
  'delete from task_tombstones by erased_at': 'all that had their time, by an instant alone',
  'delete from idempotency_keys by expires_at': 'the same',
  'delete from sessions by expires_at': 'the same',
}

type Asker = {
  /** What is asked: a method and a path, or the name of what the service does by itself. */
  what: string
  /** Of the token; nothing for whoever has none. */
  user: string | undefined
  /** Whether the token is of another issuer: its user is the one of the first bound statement. */
  isForeign?: boolean
  /** What may be sent without, or for another than, that user. */
  exceptions: Record<string, string>
}
type Sent = { statement: string; params: unknown[] }
type Seen = { mentions: Mention[]; touches: string; executions: number; fault: string | undefined }
type State = {
  asking: AsyncLocalStorage<Asker>
  statements: Sent[]
  seen: Map<string, Seen>
  wrong: Set<string>
}

// One for the process: every test file has modules of its own.
const kept = globalThis as typeof globalThis & { recordStatement?: State }
kept.recordStatement ??= {
  asking: new AsyncLocalStorage(),
  statements: [],
  seen: new Map(),
  wrong: new Set(),
}
const { asking, seen, wrong } = kept.recordStatement

/** Everything that was sent to the database by any service of this process. */
export const { statements } = kept.recordStatement

/** What a statement touches of users' rows, in words: with all that is not bound to one user. */
export const touchesOf = (mentions: readonly Mention[]): string =>
  mentions
    .map(({ does, table, owner, by }) =>
      owner ? `${does} ${table}` : `${does} ${table} by ${by.join(' and ') || 'nothing'}`,
    )
    .join(', ')

/** Runs what a request asks for, on behalf of the user that its token names. */
export const onBehalfOf = <T>(request: Request, run: () => T): T => {
  // By hand: a hostile Host makes a URL that nobody can parse.
  const what = `${request.method} ${request.url.replace(/^\w+:\/\/[^/]*|\?.*$/g, '')}`
  // Reading what is streamed is still the same request.
  if (asking.getStore()?.what === what) return run()
  const { sub, iss } = claimsIn(request.headers.get('authorization'))
  const isForeign = typeof iss === 'string' && iss !== 'taskwarden'
  const exceptions = isForeign ? { ...forNobody, ...forStrangers } : forNobody
  const user = isForeign || typeof sub !== 'string' ? undefined : sub
  return asking.run({ what, user, isForeign, exceptions }, run)
}

/** Runs what the service does by itself. */
export const byItself = <T>(what: string, run: () => T): T =>
  asking.run({ what, user: undefined, exceptions: purgeExpired }, run)

/** Notes what a service hands to the driver, and what is wrong with it. */
export const recordStatement = (statement: string, params: unknown[]): void => {
  statements.push({ statement, params })
  const known = seen.get(statement) ?? seenFirst(statement)
  known.executions += 1
  if (known.fault !== undefined) wrong.add(known.fault)
  if (known.mentions.length === 0) return
  const why = whyWrong(known, params, asking.getStore())
  if (why !== undefined) wrong.add(`${why}:\n${statement}`)
}

const seenFirst = (statement: string): Seen => {
  const first: Seen = { mentions: [], touches: '', executions: 0, fault: undefined }
  try {
    first.mentions = mentionsIn(statement)
    first.touches = touchesOf(first.mentions)
    const unused = unusedLocksIn(statement)
    if (unused.length > 0)
      first.fault = `${unused} locks nothing, because nothing refers to it:\n${statement}`
  } catch (error) {
    // Thrown here it would be a 500, which some test may expect.
    first.fault = `${error}`
  }
  seen.set(statement, first)
  return first
}

const whyWrong = ({ mentions, touches }: Seen, params: unknown[], asker: Asker | undefined) => {
  if (asker === undefined) return `${touches}: sent outside of any request`
  const { what, user, exceptions } = asker
  const isException = touches in exceptions
  const owners = new Set(
    mentions.flatMap(({ owner }) => [...(owner ?? [])].map((number) => params[number - 1])),
  )
  if (owners.size > 1) return `${what}: ${touches}: for several users at once`
  if (isException) return undefined
  // Who comes second makes nobody: the id that it would have made stays nobody's.
  if (asker.isForeign && touches.startsWith('insert into identities')) return undefined
  if (mentions.some(({ owner }) => owner === undefined)) return `${what}: ${touches}: for nobody`
  if (asker.isForeign && user === undefined) {
    asker.user = String([...owners][0])
    return undefined
  }
  return user !== undefined && owners.has(user)
    ? undefined
    : `${what}: ${touches}: for another user`
}

/** What has been wrong since it was asked last. */
export const whatWasWrong = (): string[] => {
  const found = [...wrong]
  wrong.clear()
  return found
}

/** Every distinct statement that touches users' rows. */
export const seenSoFar = (): { statement: string; touches: string; executions: number }[] =>
  [...seen].flatMap(([statement, { mentions, touches, executions }]) =>
    mentions.length === 0 ? [] : { statement, touches, executions },
  )

/** What a token says, whether or not its signature holds: where it does not, nothing is sent at all. */
const claimsIn = (authorization: string | null): { sub?: unknown; iss?: unknown } => {
  const [, claims] = /^Bearer +[\w-]+\.([\w-]+)\./i.exec(authorization ?? '') ?? []
  if (claims === undefined) return {}
  try {
    return JSON.parse(Buffer.from(claims, 'base64url').toString()) ?? {}
  } catch {
    return {}
  }
}
