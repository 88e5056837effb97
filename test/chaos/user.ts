import { type Answer, type Client, client, type Sent } from './http.ts'
import { createLedger, type State } from './ledger.ts'
import type { Totals } from './report.ts'

const tasksMax = 150
const pageMax = 200

/** A write in flight: its request, and the expected task after its acknowledgement. */
type Write = {
  sent: Sent
  wanted: number
  /** Undefined for the creation of a task. */
  id: string | undefined
  title: string
  after: State
  keyed: boolean
}

export type ChaosUser = Awaited<ReturnType<typeof signUp>>

export const register = async (via: Client) => {
  const answer = await via.send({
    method: 'POST',
    path: '/api/auth/register',
    body: { email: `${Bun.randomUUIDv7()}@example.test`, password: 'correct horse battery' },
  })
  if (answer.status !== 201)
    throw new Error(`could not sign up: ${answer.status} ${JSON.stringify(answer.body)}`)
  return { id: answer.body.user.id as string, token: answer.body.access_token as string }
}

/** A user with one connection, who records all acknowledged writes. */
export const signUp = async (port: number) => {
  const via = client(port)
  const { id: userId, token } = await register(via)
  const ledger = createLedger()
  /** Writes with a key and without a response: they are repeated until they have one. */
  const unacknowledged: Write[] = []

  const send = async (sent: Sent): Promise<Answer | Error> =>
    via.send({ ...sent, token }).catch((error: Error) => error)

  const write = async (change: Write, totals: Totals): Promise<boolean> => {
    const { sent, wanted, id, title, after, keyed } = change
    const outcome = await send(sent)
    const answer = totals.count(`${sent.method} ${sent.path}`, outcome, [wanted])
    if (answer === undefined) {
      if (keyed && !unacknowledged.includes(change)) unacknowledged.push(change)
      if (id !== undefined) ledger.unansweredChange(id, after)
      else ledger.unansweredCreation(title)
      return false
    }
    if (unacknowledged.includes(change)) unacknowledged.splice(unacknowledged.indexOf(change), 1)
    const said = acknowledgedBy(answer, after)
    if (!Bun.deepEquals(said, after))
      totals.lose(`${sent.path} answered ${JSON.stringify(said)}, not ${JSON.stringify(after)}`)
    ledger.acknowledged(id ?? answer.body.id, said)
    return true
  }

  const read = async (path: string, totals: Totals) => {
    const answer = totals.count(`GET ${path}`, await send({ method: 'GET', path }), [200])
    const tasks: { user_id: string }[] = answer?.body.tasks ?? []
    if (tasks.some((task) => task.user_id !== userId)) totals.fail('a row of another user')
    return answer
  }

  const step = async (totals: Totals) => {
    const due = unacknowledged[0]
    const known = ledger.any()
    const dice = Math.random()
    if (due !== undefined) await write(due, totals)
    else if (dice < 0.1) await read('/api/tasks?limit=20', totals)
    else if (known === undefined || (dice < 0.4 && ledger.size() < tasksMax))
      await write(creation(), totals)
    else await write(changeOf(known.id, known.state, dice), totals)
  }

  return {
    token,
    userId,
    step,
    /** Repeats the open writes until they are acknowledged. It gives up after a while, which is a failure. */
    settle: async (totals: Totals) => {
      const from = performance.now()
      for (let due = unacknowledged[0]; due !== undefined; due = unacknowledged[0]) {
        if (performance.now() - from > 20_000)
          return totals.fail('some writes were never acknowledged')
        if (!(await write(due, totals))) await Bun.sleep(50)
      }
    },
    /** Reads all tasks through the API and compares them with the ledger. */
    audit: async (totals: Totals) => {
      const tasks: Parameters<typeof ledger.audit>[0] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const more: string = cursor === '' ? '' : `&cursor=${cursor}`
        const answer = await read(`/api/tasks?limit=${pageMax}${more}`, totals)
        if (answer === undefined) return totals.fail('the ledger could not be checked')
        tasks.push(...answer.body.tasks)
        cursor = answer.body.next_cursor
      }
      for (const wrong of ledger.audit(tasks)) totals.lose(wrong)
    },
    leave: () => via.close(),
  }
}

const creation = (): Write => {
  const title = Bun.randomUUIDv7()
  const keyed = Math.random() < 0.5
  return {
    sent: { method: 'POST', path: '/api/tasks', body: { title }, ...(keyed && keyHeader()) },
    wanted: 201,
    id: undefined,
    title,
    after: { version: 1, title, completed: false },
    keyed,
  }
}

const changeOf = (id: string, state: Exclude<State, 'gone'>, dice: number): Write => {
  const path = `/api/tasks/${id}`
  const version = state.version + 1
  const base = { id, wanted: 200, title: state.title, keyed: false }
  if (dice < 0.7) {
    const keyed = Math.random() < 0.5
    return {
      ...base,
      keyed,
      sent: { method: 'PATCH', path: `${path}/complete`, ...(keyed && keyHeader()) },
      after: { ...state, version, completed: !state.completed },
    }
  }
  if (dice < 0.9) {
    const title = Bun.randomUUIDv7()
    const body = { title, completed: dice < 0.8 }
    return {
      ...base,
      sent: { method: 'PUT', path, body, headers: { 'if-match': `"${state.version}"` } },
      after: { version, ...body },
    }
  }
  return { ...base, sent: { method: 'DELETE', path }, after: 'gone' }
}

const keyHeader = () => ({ headers: { 'idempotency-key': Bun.randomUUIDv7() } })

/** Values of the response; the other members are as expected. */
const acknowledgedBy = ({ body, header }: Answer, meant: State): State => {
  if (meant === 'gone') return meant
  return {
    version: Number(header('etag')?.slice(1, -1)),
    title: body.title ?? meant.title,
    completed: body.completed,
  }
}
