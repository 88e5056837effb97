import { createApi, Offline, RetryLater } from './api.ts'
import { openCopy } from './copy.ts'
import { sync } from './sync.ts'
import { watch } from './watch.ts'

const usage = `bun examples/offline/main.ts <command>
  list             the tasks of the local copy
  add <title>
  done <number>    the number in the list
  title <number> <title>
  remove <number>
  sync             send the edits, and read the changes of others
  watch            the same, again whenever something changes, until Ctrl-C`

const { API = 'http://localhost:3000', EMAIL = '', PASSWORD = '' } = process.env
const { FILE = `${EMAIL}.json` } = process.env
const [command, ...words] = process.argv.slice(2)

const copy = await openCopy(FILE)
/** Parses e.g. `2 Buy oat milk`: the id of the second task in the list, and the text. */
const parseWords = () => {
  const [number = '', ...rest] = words
  const task = copy.list()[Number(number) - 1]
  if (task === undefined) throw new Error(`the list has no number ${number}`)
  return { id: task.id, text: rest.join(' ') }
}

const api = () => {
  const { session } = copy.state
  return createApi({ url: API, email: EMAIL, password: PASSWORD, session })
}

const commands: Record<string, () => Promise<unknown>> = {
  add: () => copy.add(words.join(' ')),
  done: async () => copy.change(parseWords().id, { completed: true }),
  title: async () => copy.change(parseWords().id, { title: parseWords().text }),
  remove: async () => copy.remove(parseWords().id),
  sync: () => sync(copy, api()),
  watch: () => watch(copy, api(), API, () => void commands.list?.()),
  list: async () => {
    for (const [at, { completed, title }] of copy.list().entries())
      console.log(`${at + 1}. [${completed ? 'x' : ' '}] ${title}`)
  },
}

try {
  await (commands[command ?? ''] ?? (async () => console.log(usage)))()
} catch (error) {
  // No edit is lost, and the next sync can succeed: 75 is EX_TEMPFAIL of sysexits.h.
  const isTemporary = error instanceof Offline || error instanceof RetryLater
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = isTemporary ? 75 : 1
} finally {
  for (const { task, why, lost } of copy.state.notices)
    console.error(`${task}: ${why}. Not done: ${JSON.stringify(lost)}`)
  copy.state.notices = []
  await copy.save()
  const waiting = copy.state.outbox.length
  if (waiting > 0)
    console.error(`${waiting} ${waiting === 1 ? 'edit waits' : 'edits wait'} for a sync`)
}
