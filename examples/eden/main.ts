import { treaty } from '@elysiajs/eden'
// Only its type is imported, from the same workspace. Another repository uses the package in client/.
import type { App } from '../../src/app.ts'

/** Adds a task, completes it, and prints the open tasks, most urgent first. */
const main = async () => {
  const { API = 'http://localhost:3000', EMAIL = '', PASSWORD = '' } = process.env
  const token = await signIn(API, { email: EMAIL, password: PASSWORD })
  const { tasks } = createClient(API, { authorization: `Bearer ${token}` }).api

  const added = unwrap(
    await tasks.post({ title: 'Water the plants', priority: 'high', tags: ['home'] }),
  )
  const { completed } = unwrap(await tasks({ id: added.id }).complete.patch({ completed: true }))
  console.log(`${added.title}: ${completed ? 'done' : 'to do'}`)

  // The completion has made version 2, so a write for version 1 is refused.
  const stale = { headers: { 'if-match': `"${added.version}"` } }
  const refused = await tasks({ id: added.id }).patch({ title: 'Water the cactus' }, stale)
  if (refused.error?.status === 412) console.log(`refused: ${refused.error.value.title}`)

  for await (const task of listAll(tasks, { completed: false, sort: '-priority' }))
    console.log(`[ ] ${task.title}${task.due_at === null ? '' : `, due ${task.due_at}`}`)
}

/** By default Eden turns text that looks like a date into a Date, also the title of a task. */
const createClient = (url: string, headers: Record<string, string> = {}) =>
  treaty<App>(url, { headers, parseDate: false })

type Credentials = { email: string; password: string }

/** Signs up, or in if there is an account. */
const signIn = async (url: string, credentials: Credentials): Promise<string> => {
  const { auth } = createClient(url).api
  const signedUp = await auth.register.post(credentials)
  if (signedUp.error?.status !== 409) {
    const data = unwrap(signedUp)
    if ('access_token' in data) return data.access_token
    throw new Error('the service has mailed a link: use it, and run this again')
  }
  return unwrap(await auth.login.post(credentials)).access_token
}

type Tasks = ReturnType<typeof createClient>['api']['tasks']
type Query = NonNullable<NonNullable<Parameters<Tasks['get']>[0]>['query']>

/** All tasks of a list, page by page as they are needed. */
async function* listAll(tasks: Tasks, query: Query) {
  let cursor: string | null | undefined
  do {
    const page = unwrap(await tasks.get({ query: cursor ? { ...query, cursor } : query }))
    yield* page.tasks
    cursor = page.next_cursor
  } while (cursor)
}

/** The data of a result. Throws if there is none. */
const unwrap = <Data>({ data, error }: { data: Data; error: unknown }): NonNullable<Data> => {
  if (data !== null && data !== undefined) return data
  throw new ProblemError(error as { status: number; value: unknown })
}

/** Branch on `code`. The service explains it at `/problems/{code}`. */
class ProblemError extends Error {
  readonly code: string
  constructor({ status, value }: { status: number; value: unknown }) {
    const { title, code, errors = [], request_id } = value as Partial<Problem>
    // An error of fetch has a code as well, but no request id.
    const isProblem = code !== undefined && request_id !== undefined
    const places = errors.map(({ pointer, detail }) => `${pointer} ${detail}`)
    super(
      isProblem
        ? [`${status} ${title} (${code}, request ${request_id})`, ...places].join('\n  ')
        : `no response from the service: ${value}`,
    )
    this.code = isProblem ? code : 'unreachable'
  }
}
type Problem = {
  title: string
  code: string
  request_id: string
  errors: { pointer: string; detail: string }[]
}

await main().catch((error: unknown) => {
  if (!(error instanceof ProblemError)) throw error
  console.error(error.message)
  process.exitCode = 1
})
