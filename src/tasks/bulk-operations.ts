import { idempotencyProblems } from '../http/idempotency.ts'
import { problemResponses } from '../http/problem.ts'
import { ResponseBody } from '../schema/response.ts'
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
import { formats } from './transfer/export.ts'

/* What each route of many tasks takes and answers: checked, typed and documented in one. */

const tags = ['Many at once']

export const batch = {
  body: Batch,
  response: {
    200: ResponseBody(BatchDone),
    ...problemResponses('task-not-found', 'version-mismatch', ...idempotencyProblems),
  },
  detail: {
    tags,
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
    200: ResponseBody(ChangesPage),
    ...problemResponses('malformed-request', 'sync-expired', 'invalid-request'),
  },
  detail: {
    tags,
    operationId: 'readChanges',
    summary: 'What has changed since I last asked',
    description:
      'For keeping a copy: without `since` all tasks, then with the last `next` what has happened, each ' +
      'task once with its newest state. No change is ever skipped.',
  },
}

export const exportAll = {
  query: ExportQuery,
  response: { 200: Export, ...problemResponses('invalid-request') },
  detail: {
    tags,
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
    ...problemResponses('malformed-request', 'body-too-large', ...idempotencyProblems),
  },
  detail: {
    tags,
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
