import {
  isJson,
  type Json,
  known,
  objectsOf,
  type ReadProgram,
  refuseFile,
  textOf,
} from './source.ts'

const kept = new Set(['title', 'notes', 'status', 'due', 'completed', 'created'])
/** What the program itself needs, and a user does not see. */
const technical = [
  'id',
  'kind',
  'etag',
  'selfLink',
  'webViewLink',
  'updated',
  'position',
  'task_type',
]
const handled = new Set([...kept, ...technical])

/**
 * Google Tasks: `Tasks.json` of Takeout, or the response of the API for one list. `due` has no time of day; its time is
 * always midnight in UTC.
 */
export const readGoogle: ReadProgram = (file, dropped) => {
  if (!('json' in file) || !isJson(file.json)) return refuseFile('the Tasks.json of Google Takeout')
  const { items, kind } = file.json
  if (!Array.isArray(items)) return refuseFile('the Tasks.json of Google Takeout')
  const lists = kind === 'tasks#tasks' ? [{ items }] : objectsOf(items)
  return lists.flatMap((list: Json, at) =>
    objectsOf(list.items).flatMap((task, nth) => {
      const pointer = kind === 'tasks#tasks' ? `/items/${nth}` : `/items/${at}/items/${nth}`
      if (task.deleted === true) {
        dropped.add('deleted')
        return []
      }
      dropped.addOthers(task, handled)
      return [{ pointer, value: toRecord(task, textOf(list.title)) }]
    }),
  )
}

const toRecord = (task: Json, list: string | undefined) => {
  const isCompleted = task.status === 'completed'
  return known({
    title: task.title,
    description: textOf(task.notes),
    due_on: textOf(task.due)?.slice(0, 10),
    completed: isCompleted,
    completed_at: isCompleted ? textOf(task.completed) : undefined,
    created_at: textOf(task.created),
    list,
  })
}
