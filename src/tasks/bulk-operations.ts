import { Answer } from '../answer.ts'
import { refusals } from '../errors.ts'
import { NoBody, NoContent } from '../shapes.ts'
import {
  Batch,
  BatchDone,
  ChangesPage,
  ChangesQuery,
  Export,
  ExportQuery,
  Import,
  Imported,
  ImportQuery,
} from './bulk-model.ts'
import * as examples from './examples.ts'
import { formats } from './export.ts'
import { Task, TaskId, TrashPage, TrashQuery } from './model.ts'

const tags = { trash: ['Trash'], bulk: ['Many at once'] }

/** Beside what a body can be refused for. */
export const unlessOnce = [
  'idempotency-in-flight',
  'idempotency-mismatch',
  'invalid-request',
] as const

/* The trash. */

export const listTrash = {
  query: TrashQuery,
  response: { 200: Answer(TrashPage), ...refusals('malformed-request', 'invalid-request') },
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
  response: { 200: Answer(Task), ...refusals('task-not-found', 'version-mismatch') },
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

/* Many tasks at once. */

export const batch = {
  body: Batch,
  response: {
    200: Answer(BatchDone),
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
    200: Answer(ChangesPage),
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
