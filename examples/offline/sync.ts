import { isDeepStrictEqual } from 'node:util'
import type { Answer, Api, Problem } from './api.ts'
import { type Content, type Copy, type Edit, membersOf, type Notice, type Task } from './copy.ts'

type Of<Kind> = Extract<Edit, { kind: Kind }>

/**
 * Sends the edits of this copy, then reads the changes of other devices. If it throws, the copy is consistent and contains
 * all unconfirmed edits: call it again.
 */
export const sync = async (copy: Copy, api: Api) => {
  await push(copy, api)
  await pull(copy, api)
}

/** Sends the edits one by one, the oldest first. */
const push = async (copy: Copy, api: Api) => {
  const { state } = copy

  /** Removes the edit from the outbox and stores the new task, in one write of the file. */
  const settle = async (edit: Edit, task: Task | undefined, notice?: Omit<Notice, 'task'>) => {
    state.outbox.shift()
    if (task === undefined) delete state.tasks[edit.id]
    else state.tasks[task.id] = task
    if (notice !== undefined) state.notices.push({ task: edit.title, ...notice })
    await copy.save()
  }

  /** The edit was applied to its version. Later edits of the task now have the new version. */
  const done = (edit: Edit, task: Task) => {
    for (const later of state.outbox)
      if (later !== edit && later.id === edit.id && later.version === edit.version)
        Object.assign(later, { id: task.id, version: task.version })
    return settle(edit, task)
  }

  const create = async (edit: Of<'create'>) => {
    const { title, key } = edit
    const headers = { 'idempotency-key': key }
    const answer = await api.send<Task>('POST', '/api/tasks', { body: { title }, headers })
    if (answer.ok) return done(edit, answer.body)
    return settle(edit, undefined, { why: reason(answer.problem), lost: { title } })
  }

  const change = async (edit: Of<'change'>) => {
    const { id, after: lost } = edit
    const headers = { 'if-match': `"${edit.version}"` }
    const answer = await api.send<Task>('PATCH', `/api/tasks/${id}`, { body: lost, headers })
    if (answer.ok) return done(edit, answer.body)
    const { problem } = answer
    if (problem.status === 404)
      return settle(edit, undefined, { why: 'there is no such task', lost })
    if (problem.status !== 412) return settle(edit, state.tasks[id], { why: reason(problem), lost })
    const current = await api.send<Task>('GET', `/api/tasks/${id}`)
    if (current.ok) return rewrite(edit, current.body)
    // The task was deleted meanwhile: the next attempt gets 404.
    if (current.problem.status !== 404) throw new Error(reason(current.problem))
  }

  /** Replaces the edit with the changes that are still needed for the current task. */
  const rewrite = async (edit: Of<'change'>, current: Task) => {
    const { rest, lost } = merged(edit, current)
    const notice =
      Object.keys(lost).length > 0 ? { why: 'it was changed elsewhere', lost } : undefined
    if (Object.keys(rest).length === 0) return settle(edit, current, notice)
    if (notice !== undefined) state.notices.push({ task: edit.title, ...notice })
    const { version } = current
    Object.assign(edit, { version, before: membersOf(current, rest), after: rest })
    await copy.save()
  }

  const remove = async (edit: Of<'delete'>) => {
    const { id, version } = edit
    const headers = { 'if-match': `"${version}"` }
    const answer = await api.send('DELETE', `/api/tasks/${id}`, { headers })
    if (answer.ok || answer.problem.status === 404) return settle(edit, undefined)
    // A change on another device wins over a deletion here, because the user can delete the task again.
    const why = answer.problem.status === 412 ? 'it was changed elsewhere' : reason(answer.problem)
    return settle(edit, state.tasks[id], { why, lost: 'the deletion' })
  }

  for (let edit = state.outbox[0]; edit !== undefined; edit = state.outbox[0]) {
    if (edit.kind === 'create') await create(edit)
    else if (edit.kind === 'change') await change(edit)
    else await remove(edit)
  }
}

/**
 * Resolves a conflict, member by member. A member that was changed only here is sent. A member that was changed on both
 * sides keeps the value of the service, and the value of this copy is reported as lost. A member that already has the
 * wanted value, e.g. after a lost response, is not sent.
 */
const merged = ({ before, after }: Of<'change'>, current: Task) => {
  const rest: Partial<Content> = {}
  const lost: Partial<Content> = {}
  for (const [name, ours] of Object.entries(after)) {
    const theirs = current[name as keyof Content]
    if (isDeepStrictEqual(theirs, ours)) continue
    const isUntouched = isDeepStrictEqual(theirs, before[name as keyof Content])
    Object.assign(isUntouched ? rest : lost, { [name]: ours })
  }
  return { rest, lost }
}

const reason = ({ title, code, errors = [] }: Problem): string =>
  [`${title} (${code})`, ...errors.map(({ pointer, detail }) => `${pointer} ${detail}`)].join('; ')

type Changes = {
  changes: ({ op: 'upsert'; task: Task } | { op: 'delete'; id: string })[]
  next: string
  has_more: boolean
}

/** Reads all changes since the last sync. The changes and the new position are stored in one write. */
const pull = async ({ state, save }: Copy, api: Api) => {
  let { since } = state
  let tasks = { ...state.tasks }
  for (let isFirst = true; ; isFirst = false) {
    if (since === undefined) tasks = {}
    const query = new URLSearchParams({ limit: '200', ...(since !== undefined && { since }) })
    const answer: Answer<Changes> = await api.send('GET', `/api/tasks/changes?${query}`)
    if (!answer.ok) {
      // 410: the token is older than the tombstones. 400: the token is of another account or secret.
      const isStale = answer.problem.status === 410 || answer.problem.status === 400
      if (!isFirst || since === undefined || !isStale) throw new Error(reason(answer.problem))
      since = undefined
      continue
    }
    for (const change of answer.body.changes)
      if (change.op === 'upsert') tasks[change.task.id] = change.task
      else delete tasks[change.id]
    since = answer.body.next
    if (!answer.body.has_more) break
  }
  Object.assign(state, { tasks, since })
  await save()
}
