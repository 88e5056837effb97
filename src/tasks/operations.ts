import { t } from 'elysia'
import { refusals } from '../errors.ts'
import { NoBody, NoContent } from '../shapes.ts'
import * as examples from './examples.ts'
import { formats } from './export.ts'
import {
  Batch,
  BatchDone,
  ChangesPage,
  ChangesQuery,
  Completed,
  Completion,
  Deleted,
  Export,
  ExportQuery,
  Import,
  Imported,
  ImportQuery,
  NewTask,
  Task,
  TaskChanges,
  TaskId,
  TaskPage,
  TaskQuery,
  TaskReplacement,
  TrashPage,
  TrashQuery,
} from './model.ts'

/* What each route takes and answers, and what it is called: checked, typed and documented in one. */

const tags = { tasks: ['Tasks'], trash: ['Trash'], bulk: ['Many at once'] }

/** Beside what a body can be refused for. */
const unlessOnce = ['idempotency-in-flight', 'idempotency-mismatch', 'invalid-request'] as const

export const list = {
  query: TaskQuery,
  response: { 200: TaskPage, ...refusals('malformed-request', 'invalid-request') },
  detail: {
    tags: tags.tasks,
    operationId: 'listTasks',
    summary: 'Find my tasks',
    description:
      'Newest first, 50 a page. Filters add up. `next_cursor` (and `Link`) leads to the next page: a task ' +
      'whose place does not change during the walk appears exactly once, whatever else changes.',
  },
}

export const add = {
  body: NewTask,
  response: { 201: Task, ...refusals(...unlessOnce) },
  detail: {
    tags: tags.tasks,
    operationId: 'createTask',
    summary: 'Add a task',
    description: 'With an `Idempotency-Key` it can be sent again without a second task.',
    'x-takes': ['Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const

export const read = {
  params: TaskId,
  response: { 200: Task, 304: t.Undefined(), ...refusals('malformed-request', 'task-not-found') },
  detail: {
    tags: tags.tasks,
    operationId: 'readTask',
    summary: 'Read one of my tasks',
    'x-takes': ['If-None-Match'],
  },
} as const

export const replace = {
  params: TaskId,
  body: TaskReplacement,
  response: { 200: Task, ...refusals('task-not-found', 'version-mismatch', 'invalid-request') },
  detail: {
    tags: tags.tasks,
    operationId: 'replaceTask',
    summary: 'Replace one of my tasks',
    description: 'Members that are left out go back to their defaults.',
    'x-takes': ['If-Match'],
  },
} as const

export const change = {
  params: TaskId,
  body: TaskChanges,
  response: { 200: Task, ...refusals('task-not-found', 'version-mismatch', 'invalid-request') },
  detail: {
    tags: tags.tasks,
    operationId: 'changeTask',
    summary: 'Change one of my tasks',
    description: 'A merge patch (RFC 7396): members that are left out stay, null clears.',
    'x-accepts': ['application/merge-patch+json', 'application/json'],
    'x-takes': ['If-Match'],
  },
} as const

export const complete = {
  params: TaskId,
  body: Completion,
  response: {
    200: Completed,
    ...refusals('task-not-found', 'version-mismatch', ...unlessOnce),
  },
  detail: {
    tags: tags.tasks,
    operationId: 'completeTask',
    summary: 'Complete one of my tasks, or take it back',
    description: 'Without a body it toggles; `{"completed": true}` sets.',
    'x-takes': ['If-Match', 'Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const

export const remove = {
  params: TaskId,
  body: NoBody,
  response: { 200: Deleted, ...refusals('task-not-found', 'version-mismatch') },
  detail: {
    tags: tags.tasks,
    operationId: 'deleteTask',
    summary: 'Put one of my tasks into the trash',
    'x-takes': ['If-Match'],
  },
} as const

export const listTrash = {
  query: TrashQuery,
  response: { 200: TrashPage, ...refusals('malformed-request', 'invalid-request') },
  detail: {
    tags: tags.trash,
    operationId: 'listTrash',
    summary: 'What is in my trash',
    description:
      'The newest deletion first. What was deleted TRASH_DAYS (30) ago is erased by itself.',
  },
}

export const restore = {
  params: TaskId,
  body: NoBody,
  response: { 200: Task, ...refusals('task-not-found', 'version-mismatch') },
  detail: {
    tags: tags.trash,
    operationId: 'restoreTask',
    summary: 'Take a task out of the trash',
    'x-takes': ['If-Match'],
  },
} as const

export const erase = {
  params: TaskId,
  body: NoBody,
  response: { 204: NoContent, ...refusals('task-not-found') },
  detail: { tags: tags.trash, operationId: 'eraseTask', summary: 'Erase a task in the trash' },
}

export const emptyTrash = {
  body: NoBody,
  response: { 204: NoContent },
  detail: {
    tags: tags.trash,
    operationId: 'emptyTrash',
    summary: 'Erase all that is in the trash',
  },
}

export const batch = {
  body: Batch,
  response: {
    200: BatchDone,
    ...refusals('task-not-found', 'version-mismatch', ...unlessOnce),
  },
  detail: {
    tags: tags.bulk,
    operationId: 'batchTasks',
    summary: 'Up to 100 operations, all or nothing',
    description:
      'The first that cannot be done is told by its `errors[0].pointer`, as in `/update/3`. ' +
      'A batch counts as one request.',
    'x-takes': ['Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const

export const changes = {
  query: ChangesQuery,
  response: {
    200: ChangesPage,
    ...refusals('malformed-request', 'sync-expired', 'invalid-request'),
  },
  detail: {
    tags: tags.bulk,
    operationId: 'readChanges',
    summary: 'What has changed since I last asked',
    description:
      'For keeping a copy: without `since` all tasks, then with the last `next` what has happened, each ' +
      'task once with its newest state. No change is ever skipped.',
  },
}

export const exportAll = {
  query: ExportQuery,
  response: { 200: Export, ...refusals('invalid-request') },
  detail: {
    tags: tags.bulk,
    operationId: 'exportTasks',
    summary: 'All my tasks, as a file',
    description:
      'In JSON, NDJSON, CSV or iCalendar (to-dos), by `format` or `Accept`. It is streamed: if something ' +
      'goes wrong midway, the connection breaks off, so that half an export never looks whole.',
    'x-headers': ['Content-Disposition'],
    'x-produces': Object.values(formats).map(({ mediaType }) => mediaType),
    'x-examples': Object.fromEntries(
      Object.values(formats)
        .filter(({ mediaType }) => mediaType !== 'application/json')
        .map(({ mediaType, head, record, foot }) => [
          mediaType,
          `${head}${record(examples.task, true)}${foot}`,
        ]),
    ),
  },
} as const

export const importAll = {
  query: ImportQuery,
  body: Import,
  response: {
    200: Imported,
    ...refusals('malformed-request', 'body-too-large', ...unlessOnce),
  },
  detail: {
    tags: tags.bulk,
    operationId: 'importTasks',
    summary: 'Add tasks from a file, all or nothing',
    description:
      'As exported, in JSON, NDJSON or CSV; a record needs only a title. Each bad record is named, a ' +
      'hundred at most, by `/tasks/6` or by the line where it starts, `/line/7`.',
    'x-accepts': ['application/json', 'application/x-ndjson', 'text/csv'],
    'x-imports': true,
    'x-examples': examples.imports,
    'x-takes': ['Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const
