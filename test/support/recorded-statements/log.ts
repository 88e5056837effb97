import { AsyncLocalStorage } from 'node:async_hooks'
import { unusedLocksIn } from './locks.ts'
import { type Mention, mentionsIn } from './mentions.ts'

/**
 * Statements on users' rows that are not bound to the user of the request's token: what they access, and the reason.
 * Every other unbound statement fails the test that sends it.
 */
const withoutToken: Record<string, string> = {
  'read users by email': 'a sign-in: the account is found by its e-mail',
  'insert into users, insert into user_changes, insert into sessions':
    'a sign-up: the rows are bound to the id of the new user',
  'insert into mail_messages': 'a request for a link: bound to an id of its own',
  'insert into users, insert into user_changes, insert into mail_messages':
    'a sign-up with verification: bound to the id of the new user',
  'read users by email and id':
    'a change of the e-mail: whether another account has an earlier spelling of it',
  'read user_changes, read users, delete from sessions, insert into sessions':
    'a sign-in: bound to the account that was found by its e-mail',
  'read user_changes, update users, delete from sessions, insert into sessions':
    'the same with another cost of the hash',
}
/** The same for a token of a trusted issuer: its user is found by the subject. */
const withFederatedToken: Record<string, string> = {
  'read identities by issuer and session_id and subject and user_id, read users by id, read sessions by id and user_id':
    'the user is found by issuer and subject',
}
/** The same for jobs, which run without a request. */
const duringJob: Record<string, string> = {
  'read tasks by deleted_at': 'finds the users with old tasks in the trash',
  'read user_changes, read tasks, delete from tasks, insert into task_tombstones':
    'erases the old trash of one user',
  'read mail_messages by next_attempt_at, update mail_messages by id and next_attempt_at and user_id':
    'claims messages of any users',
  'read users by disabled_at and email and password_hash':
    'finds the account of an address, for a link',
  'read users by disabled_at and email and email_verified_at and password_hash':
    'the same, if it is not verified',
  'read users by disabled_at and email and is_verification_due and password_hash':
    'the same, if it cannot be used yet',
  'read users': 'the account whose next address a message is for',
  'read user_changes, read users, insert into mail_links': 'makes the link of one user',
  'read user_changes, read users, insert into mail_links, insert into mail_links':
    'the same, and all verification links become invalid',
  'read users by email and id': 'whether another account has the next address of a user',
  'delete from users': 'deletes the placeholder of a sign-up',
  'update mail_messages': 'postpones one message of one user',
  'delete from mail_messages': 'deletes one message of one user',
  'update sessions': 'stores the last use of one session of one user',
  'read sessions by expires_at and id and user_id, read user_changes by user_id':
    'which open event streams have missed a change, or the end of their session',
  'read webhooks by change and change_id and enabled and leased_until and next_attempt_at and user_id, read user_changes by last and user_id, read users by disabled_at and id, update webhooks by id and lease and user_id':
    'claims webhooks of any users',
  'read webhooks, read user_changes, read users, update webhooks':
    'claims the webhooks of one user, after a change',
  'read webhooks by enabled': 'which users have webhooks, and how many fail',
  'read sessions, read user_changes, read tasks, read task_tombstones, read reminder_events, read tasks':
    'the changes of one user, for a webhook',
  'read tasks by deleted_at and remind_at': 'finds the tasks whose reminders may be due',
  'update user_changes, read users, read tasks, read users, insert into mail_messages, insert into reminder_events, update tasks':
    'delivers the reminders of one user',
  'read reminder_events, read tasks, read users': 'the reminders that one mail of one user lists',
  'read sessions, read user_changes, read tasks, read task_tombstones, read tasks, read tasks, read lists, read list_tombstones, read reminder_events, read tasks':
    'the changes of one user, for a stream that a reminder wakes',
  'read reminder_events by delivered_at, delete from reminder_events by delivered_at and id and user_id':
    'deletes some expired rows of all users',
  'update webhooks': 'the progress of one webhook of one user',
  'update webhooks, read users': 'a failed delivery of one webhook of one user',
  'update webhooks, read users, insert into mail_messages': 'the last one, with a notice',
  'read task_tombstones by erased_at, delete from task_tombstones by erased_at and id and user_id':
    'deletes some expired rows of all users',
  'read list_tombstones by deleted_at, delete from list_tombstones by deleted_at and id and user_id':
    'deletes some expired rows of all users',
  'read idempotency_keys by expires_at, delete from idempotency_keys by expires_at and key and route and user_id':
    'deletes some expired rows of all users',
  'read used_stream_tickets by expires_at, delete from used_stream_tickets by expires_at and id and user_id':
    'deletes some expired rows of all users',
  'read mail_links by expires_at, delete from mail_links by expires_at and kind and user_id':
    'deletes some expired rows of all users',
  'read sessions by expires_at and refresh_expires_at, delete from sessions by expires_at and id and refresh_expires_at and user_id':
    'deletes some expired rows of all users',
}

/** What sends the statements: a request, or a job of the service. */
type Sender = {
  /** Method and path of the request, or the name of the job. */
  what: string
  /** The user of the token; undefined without a token. */
  user: string | undefined
  /** The token is of a trusted issuer. */
  isForeign?: boolean
  /** The token does not show its user: it is the one of the first bound statement. */
  isUserUnknown?: boolean
  /** The accesses that may be unbound, or bound to another user. */
  exceptions: Record<string, string>
}
type Sent = { statement: string; params: unknown[] }
type Seen = { mentions: Mention[]; touches: string; executions: number; fault: string | undefined }
type State = {
  sender: AsyncLocalStorage<Sender>
  statements: Sent[]
  seen: Map<string, Seen>
  wrong: Set<string>
}

// Global: every test file has its own instances of the modules.
const kept = globalThis as typeof globalThis & { recordStatement?: State }
kept.recordStatement ??= {
  sender: new AsyncLocalStorage(),
  statements: [],
  seen: new Map(),
  wrong: new Set(),
}
const { sender, seen, wrong } = kept.recordStatement

/** All statements that the services of this process have sent. */
export const { statements } = kept.recordStatement

/** The accesses to users' rows in words. An access that is not bound to one user names its conditions. */
export const touchesOf = (mentions: readonly Mention[]): string =>
  mentions
    .map(({ does, table, owner, by }) =>
      owner ? `${does} ${table}` : `${does} ${table} by ${by.join(' and ') || 'nothing'}`,
    )
    .join(', ')

/** Attributes the statements that `run` sends to the request and the user of its token. */
export const onBehalfOf = <T>(request: Request, run: () => T): T => {
  // Not `new URL`: a hostile Host header makes the URL invalid.
  const what = `${request.method} ${request.url.replace(/^\w+:\/\/[^/]*|\?.*$/g, '')}`
  // Reading a streamed body belongs to the same request.
  if (sender.getStore()?.what === what) return run()
  const { sub, iss } = claimsIn(request.headers.get('authorization'))
  const isForeign = typeof iss === 'string' && iss !== 'taskwarden'
  const exceptions = isForeign ? { ...withoutToken, ...withFederatedToken } : withoutToken
  const isPublic = takesLink.test(what)
  const user = isForeign || isPublic || typeof sub !== 'string' ? undefined : sub
  const isUserUnknown = isForeign || (user === undefined && takesOtherToken.test(what))
  return sender.run({ what, user, isForeign, isUserUnknown, exceptions }, run)
}

/** Public: a token in the header has no meaning. */
const takesLink =
  /^POST \/(api\/auth\/(password\/(forgot|reset)|email\/verify)|account\/(reset|verify))$/
/** By a refresh token, by the token of a mailed link, by a stream ticket, or by the secret of a calendar feed. */
const takesOtherToken =
  /^((GET|HEAD) \/api\/(tasks\/events|calendar\/.*)|POST \/(api\/(auth\/(refresh|logout|password\/(forgot|reset)|email\/verify)|oauth\/token)|account\/(reset|verify)))$/

/** Attributes the statements that `run` sends to a job of the service. */
export const onBehalfOfJob = <T>(what: string, run: () => T): T =>
  sender.run({ what, user: undefined, exceptions: duringJob }, run)

/** Records a statement that a service passes to the driver, and its faults. */
export const recordStatement = (statement: string, params: unknown[]): void => {
  statements.push({ statement, params })
  const known = seen.get(statement) ?? analyse(statement)
  known.executions += 1
  if (known.fault !== undefined) wrong.add(known.fault)
  if (known.mentions.length === 0) return
  const why = faultOf(known, params, sender.getStore())
  if (why !== undefined) wrong.add(`${why}:\n${statement}`)
}

const analyse = (statement: string): Seen => {
  const first: Seen = { mentions: [], touches: '', executions: 0, fault: undefined }
  try {
    first.mentions = mentionsIn(statement)
    first.touches = touchesOf(first.mentions)
    const unused = unusedLocksIn(statement)
    if (unused.length > 0)
      first.fault = `${unused} locks nothing, because nothing refers to it:\n${statement}`
  } catch (error) {
    // An error thrown here would become a 500, which a test may expect.
    first.fault = `${error}`
  }
  seen.set(statement, first)
  return first
}

const faultOf = ({ mentions, touches }: Seen, params: unknown[], sentBy: Sender | undefined) => {
  if (sentBy === undefined) return `${touches}: sent outside of any request`
  const { what, user, exceptions } = sentBy
  const isException = touches in exceptions
  const owners = new Set(
    mentions.flatMap(({ owner }) => [...(owner ?? [])].map((number) => params[number - 1])),
  )
  if (owners.size > 1) return `${what}: ${touches}: for several users at once`
  if (isException) return undefined
  // If another request created the user first, this insert has no effect, and the new id is not used.
  if (sentBy.isForeign && touches.startsWith('insert into identities')) return undefined
  if (mentions.some(({ owner }) => owner === undefined)) return `${what}: ${touches}: not bound`
  if (sentBy.isUserUnknown && user === undefined) {
    sentBy.user = String([...owners][0])
    return undefined
  }
  return user !== undefined && owners.has(user)
    ? undefined
    : `${what}: ${touches}: for another user`
}

/** Returns the faults since the last call. */
export const takeFaults = (): string[] => {
  const found = [...wrong]
  wrong.clear()
  return found
}

/** The distinct statements that access users' rows. */
export const distinctStatements = (): {
  statement: string
  touches: string
  executions: number
}[] =>
  [...seen].flatMap(([statement, { mentions, touches, executions }]) =>
    mentions.length === 0 ? [] : { statement, touches, executions },
  )

/** The claims of a token without a check of the signature: with an invalid one, no statement is sent. */
const claimsIn = (authorization: string | null): { sub?: unknown; iss?: unknown } => {
  const [, claims] = /^Bearer +[\w-]+\.([\w-]+)\./i.exec(authorization ?? '') ?? []
  if (claims === undefined) return {}
  try {
    return JSON.parse(Buffer.from(claims, 'base64url').toString()) ?? {}
  } catch {
    return {}
  }
}
