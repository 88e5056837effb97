import { apiOf, Later, Offline } from './api.ts'
import { openCopy } from './copy.ts'
import { sync } from './sync.ts'

const usage = `bun examples/offline/main.ts <command>
  list             the tasks as they are here
  add <title>
  done <number>    of the list
  title <number> <title>
  remove <number>
  sync             send the edits, take over what others did`

const { API = 'http://localhost:3000', EMAIL = '', PASSWORD = '' } = process.env
const { FILE = `${EMAIL}.json` } = process.env
const [command, ...words] = process.argv.slice(2)

const copy = await openCopy(FILE)
/** `2 Buy oat milk`: the id of the second task in the list, and the rest. */
const numbered = () => {
  const [number = '', ...rest] = words
  const task = copy.list()[Number(number) - 1]
  if (task === undefined) throw new Error(`the list has no number ${number}`)
  return { id: task.id, text: rest.join(' ') }
}

const commands: Record<string, () => Promise<unknown>> = {
  add: () => copy.add(words.join(' ')),
  done: async () => copy.change(numbered().id, { completed: true }),
  title: async () => copy.change(numbered().id, { title: numbered().text }),
  remove: async () => copy.remove(numbered().id),
  sync: async () => {
    const { session } = copy.state
    await sync(copy, apiOf({ url: API, email: EMAIL, password: PASSWORD, session }))
  },
  list: async () => {
    for (const [at, { completed, title }] of copy.list().entries())
      console.log(`${at + 1}. [${completed ? 'x' : ' '}] ${title}`)
  },
}

try {
  await (commands[command ?? ''] ?? (async () => console.log(usage)))()
} catch (error) {
  // Nothing is lost, and the next sync may do: 75 is what mailers say for it (sysexits.h).
  const isPassing = error instanceof Offline || error instanceof Later
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = isPassing ? 75 : 1
} finally {
  for (const { task, why, lost } of copy.state.notices)
    console.error(`${task}: ${why}. Not done: ${JSON.stringify(lost)}`)
  copy.state.notices = []
  await copy.save()
  const waiting = copy.state.outbox.length
  if (waiting > 0)
    console.error(`${waiting} ${waiting === 1 ? 'edit waits' : 'edits wait'} for a sync`)
}
