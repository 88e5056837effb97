import { randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'

/** What a person edits of a task. */
export type Content = {
  title: string
  description: string | null
  completed: boolean
  priority: 'low' | 'normal' | 'high' | 'urgent'
  due_at: string | null
  tags: string[]
}
export type Task = Content & { id: string; version: number }

/** An edit that the service has not confirmed yet. `version` and `before` are what it was made on. */
export type Edit = { id: string; title: string; version: number } & (
  | { kind: 'create'; key: string }
  | { kind: 'change'; before: Partial<Content>; after: Partial<Content> }
  | { kind: 'delete' }
)

/** Something of the person's that did not come through, and why: to be shown, never to be dropped. */
export type Notice = { task: string; why: string; lost: Partial<Content> | 'the deletion' }

type State = {
  session: { token?: string }
  /** How far the copy has come: the `next` of the last page of changes. */
  since?: string
  /** As the service last told them. */
  tasks: Record<string, Task>
  /** In the order in which they were made. */
  outbox: Edit[]
  notices: Notice[]
}

/** The tasks, and the edits made to them, in one file that is whole at any moment. */
export const openCopy = async (file: string) => {
  const state: State = { session: {}, tasks: {}, outbox: [], notices: [], ...(await read(file)) }

  const save = async () => {
    // It holds the token: nobody else's to read.
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
  /** What the person sees: the tasks as the service told them, with the edits that wait. */
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

/** The members of a task that another object has, too. */
export const membersOf = (task: Content, like: Partial<Content>): Partial<Content> =>
  Object.fromEntries(Object.keys(like).map((name) => [name, task[name as keyof Content]]))

export type Copy = Awaited<ReturnType<typeof openCopy>>

const blank: Omit<Content, 'title'> = {
  description: null,
  completed: false,
  priority: 'normal',
  due_at: null,
  tags: [],
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
