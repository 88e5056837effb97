import { type Static, t } from 'elysia'
import { BooleanParam, Enum, FileBody, Id, Text, Timestamp } from '../schema/types.ts'
import * as examples from './examples.ts'
import {
  closed,
  NewTask,
  optional,
  paging,
  Task,
  TaskChanges,
  Title,
  Version,
} from './task/schema.ts'

export const ChangesQuery = t.Object(
  {
    since: t.Optional(
      Text({
        min: 1,
        max: 4096,
        description: '`next` of the changes before; all tasks without it',
        examples: ['q1w2e3r4t5z6u7i8o9p0'],
      }),
    ),
    limit: paging.limit,
  },
  closed,
)
const Upsert = t.Object({ op: t.Literal('upsert'), task: Task }, { ...closed, $id: 'Upsert' })
const Removal = t.Object(
  { op: t.Literal('delete'), id: Id(), deleted_at: Timestamp({}) },
  { ...closed, $id: 'Removal' },
)
export const Change = t.Union([Upsert, Removal])
export const ChangesPage = t.Object(
  {
    changes: t.Array(Change),
    next: t.String({ description: 'For `since`, the next time' }),
    has_more: t.Boolean({ description: 'Whether there is more right now' }),
  },
  { ...closed, $id: 'Changes', examples: [examples.changesPage] },
)

const BatchId = Text({ min: 1, max: 100, examples: ['0198f2c4-5c1e-7a44-9d5c-3f1f6a9b2c10'] })
const operations = { maxItems: 100 }
/** 1 to 100 operations in all, an id in one of them at most. */
export const Batch = t.Object(
  {
    create: t.Optional(t.Array(NewTask, operations)),
    update: t.Optional(
      t.Array(
        t.Object(
          {
            id: BatchId,
            version: t.Optional(Version),
            ...TaskChanges.properties,
          },
          { ...closed, $id: 'BatchUpdate' },
        ),
        operations,
      ),
    ),
    complete: t.Optional(
      t.Array(
        t.Object(
          { id: BatchId, completed: t.Optional(t.Boolean()) },
          { ...closed, $id: 'BatchCompletion' },
        ),
        operations,
      ),
    ),
    delete: t.Optional(t.Array(BatchId, operations)),
  },
  { ...closed, $id: 'Batch', examples: [examples.batch] },
)
export const BatchDone = t.Object(
  {
    created: t.Array(Task),
    updated: t.Array(Task),
    completed: t.Array(Task),
    deleted: t.Array(Id()),
  },
  { ...closed, $id: 'BatchDone', examples: [examples.batchDone] },
)

const ignored = t.Optional(t.Unknown())
/** A record of an import: what an export holds, of which the server's own members are ignored. */
export const ImportedTask = t.Object(
  {
    title: Title,
    ...optional,
    completed: t.Optional(t.Boolean()),
    completed_at: t.Optional(Timestamp({ nullable: true })),
    created_at: t.Optional(Timestamp({})),
    id: ignored,
    user_id: ignored,
    version: ignored,
    updated_at: ignored,
  },
  { ...closed, $id: 'ImportedTask' },
)
export const Import = FileBody(
  t.Object(
    { tasks: t.Array(ImportedTask) },
    { ...closed, $id: 'Import', examples: [examples.imports['application/json']] },
  ),
)
export const ImportQuery = t.Object(
  { dry_run: t.Optional(BooleanParam({ description: 'Only check', examples: [true] })) },
  closed,
)
export const Imported = t.Union([
  t.Object({ imported: t.Integer({ examples: [2] }) }, { ...closed, $id: 'Imported' }),
  t.Object({ valid: t.Integer({ examples: [2] }) }, { ...closed, $id: 'Checked' }),
])
/** In JSON; the other formats are text. */
export const Export = t.Union([
  t.Object({ tasks: t.Array(Task) }, { ...closed, $id: 'Export' }),
  t.String(),
])
export const ExportQuery = t.Object(
  {
    format: t.Optional(
      Enum(['json', 'ndjson', 'csv', 'ics'], {
        description: 'Goes before `Accept`; JSON without either',
        examples: ['csv'],
      }),
    ),
  },
  closed,
)

export type Change = Static<typeof Change>
export type Batch = Static<typeof Batch>
export type BatchDone = Static<typeof BatchDone>
