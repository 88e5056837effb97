import { treaty } from '@elysiajs/eden'
// Types alone: nothing of the service ends up in your bundle.
import type { App } from '../../src/app.ts'

/** Adds a task, completes it, and prints what is to do, most urgent first. */
const main = async () => {
  const { API = 'http://localhost:3000', EMAIL = '', PASSWORD = '' } = process.env
  const token = await signIn(API, { email: EMAIL, password: PASSWORD })
  const { tasks } = clientOf(API, { authorization: `Bearer ${token}` }).api

  const added = answered(
    await tasks.post({ title: 'Water the plants', priority: 'high', tags: ['home'] }),
  )
  const { completed } = answered(await tasks({ id: added.id }).complete.patch({ completed: true }))
  console.log(`${added.title}: ${completed ? 'done' : 'to do'}`)

  // Of version 1, which it no longer is: somebody (here, ourselves) was faster.
  const stale = { headers: { 'if-match': `"${added.version}"` } }
  const refused = await tasks({ id: added.id }).patch({ title: 'Water the cactus' }, stale)
  if (refused.error?.status === 412) console.log(`refused: ${refused.error.value.title}`)

  for await (const task of everyTask(tasks, { completed: false, sort: '-priority' }))
    console.log(`[ ] ${task.title}${task.due_at === null ? '' : `, due ${task.due_at}`}`)
}

/** By default Eden makes a Date of all text that looks like one, a task's title too. */
const clientOf = (url: string, headers: Record<string, string> = {}) =>
  treaty<App>(url, { headers, parseDate: false })

type Credentials = { email: string; password: string }

/** Signs up, or, whoever has an account already, in. */
const signIn = async (url: string, credentials: Credentials): Promise<string> => {
  const { auth } = clientOf(url).api
  const signedUp = await auth.register.post(credentials)
  if (signedUp.error?.status !== 409) return answered(signedUp).access_token
  return answered(await auth.login.post(credentials)).access_token
}

type Tasks = ReturnType<typeof clientOf>['api']['tasks']
type Query = NonNullable<NonNullable<Parameters<Tasks['get']>[0]>['query']>

/** All pages of a list, one after the other as they are needed. */
async function* everyTask(tasks: Tasks, query: Query) {
  let cursor: string | null | undefined
  do {
    const page = answered(await tasks.get({ query: cursor ? { ...query, cursor } : query }))
    yield* page.tasks
    cursor = page.next_cursor
  } while (cursor)
}

/** What was asked for; or why not, as an error. */
const answered = <Data>({ data, error }: { data: Data; error: unknown }): NonNullable<Data> => {
  if (data !== null && data !== undefined) return data
  throw new Refused(error as { status: number; value: unknown })
}

/** `code` is what to branch on; the service's `/problems/{code}` explains it. */
class Refused extends Error {
  readonly code: string
  constructor({ status, value }: { status: number; value: unknown }) {
    const { title, code, errors = [], request_id } = value as Partial<Problem>
    // What fetch throws has a code, too, and no request.
    const isProblem = code !== undefined && request_id !== undefined
    const places = errors.map(({ pointer, detail }) => `${pointer} ${detail}`)
    super(
      isProblem
        ? [`${status} ${title} (${code}, request ${request_id})`, ...places].join('\n  ')
        : `no answer of the service: ${value}`,
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
  if (!(error instanceof Refused)) throw error
  console.error(error.message)
  process.exitCode = 1
})
