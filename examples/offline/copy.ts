import { randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'

/** The members of a task that a user edits. */
export type Content = {
  title: string
  description: string | null
  completed: boolean
  priority: 'low' | 'normal' | 'high' | 'urgent'
  due_at: string | null
  due_on: string | null
  tags: string[]
  list_id: string | null
  reminders: ({ at: string } | { minutes_before: number })[]
  recurrence: { rrule: string; time_zone: string; from: 'due' | 'completion' } | null
}
export type Task = Content & { id: string; version: number }

/** An edit that the service has not confirmed. `version` and `before` are the task that the user edited. */
export type Edit = { id: string; title: string; version: number } & (
  | { kind: 'create'; key: string }
  | { kind: 'change'; before: Partial<Content>; after: Partial<Content> }
  | { kind: 'delete' }
)

/** An edit that was not applied, and the reason. The application must show it to the user. */
export type Notice = { task: string; why: string; lost: Partial<Content> | 'the deletion' }

type State = {
  session: { token?: string }
  /** The position of the copy: `next` of the last page of changes. */
  since?: string
  /** The tasks of the last sync. */
  tasks: Record<string, Task>
  /** The oldest edit first. */
  outbox: Edit[]
  notices: Notice[]
}

/** The tasks and their edits, in one file that is replaced atomically. */
export const openCopy = async (file: string) => {
  const state: State = { session: {}, tasks: {}, outbox: [], notices: [], ...(await read(file)) }

  const save = async () => {
    // The file contains the token, so only the owner can read it.
    await writeFile(`${file}.new`, JSON.stringify(state, null, 2), { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  const keep = async (edit: Edit) => {
    state.outbox.push(edit)
    await save()
  }
  const find = (id: string): Task => {
    const task = list().find((one) => one.id === id)
    if (task === undefined) throw new Error(`there is no task ${id}`)
    return task
  }
  /** The tasks of the last sync with the waiting edits applied. */
  const list = (): Task[] => [
    ...state.outbox.reduce(applied, new Map(Object.entries(state.tasks))).values(),
  ]

  return {
    state,
    save,
    list,
    add: (title: string) => {
      const id = `local-${randomUUID()}`
      return keep({ kind: 'create', id, title, version: 0, key: randomUUID() })
    },
    change: (id: string, after: Partial<Content>) => {
      const task = find(id)
      const { title, version } = task
      return keep({ kind: 'change', id, title, version, before: membersOf(task, after), after })
    },
    remove: (id: string) => {
      const { title, version } = find(id)
      return keep({ kind: 'delete', id, title, version })
    },
  }
}

/** The members of a task that `like` also has. */
export const membersOf = (task: Content, like: Partial<Content>): Partial<Content> =>
  Object.fromEntries(Object.keys(like).map((name) => [name, task[name as keyof Content]]))

export type Copy = Awaited<ReturnType<typeof openCopy>>

const blank: Omit<Content, 'title'> = {
  description: null,
  completed: false,
  priority: 'normal',
  due_at: null,
  due_on: null,
  tags: [],
  list_id: null,
  reminders: [],
  recurrence: null,
}

const applied = (tasks: Map<string, Task>, edit: Edit): Map<string, Task> => {
  const { id } = edit
  if (edit.kind === 'delete') tasks.delete(id)
  else if (edit.kind === 'create') tasks.set(id, { ...blank, title: edit.title, id, version: 0 })
  else {
    const task = tasks.get(id)
    if (task !== undefined) tasks.set(id, { ...task, ...edit.after })
  }
  return tasks
}

const read = async (file: string): Promise<Partial<State>> => {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}
