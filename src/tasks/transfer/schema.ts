import { type Static, t } from 'elysia'
import { idempotencyProblems } from '../../http/idempotency.ts'
import { problemResponses } from '../../http/problem.ts'
import { List, ListName } from '../../lists/schema.ts'
import { FileBody } from '../../schema/body.ts'
import { withDefaults } from '../../schema/defaults.ts'
import { BooleanParam, Enum, Id, Reference, Timestamp } from '../../schema/types.ts'
import * as examples from '../examples.ts'
import { closed, defaults, ignored, ignoredMembers, optional, Task, Title } from '../task/schema.ts'
import { formats } from './export.ts'

/** A record of an import. It accepts all members of an export; those that the server sets are ignored. */
export const ImportedTask = t.Object(
  {
    title: Title,
    ...withDefaults(optional, defaults),
    completed: t.Optional(t.Boolean({ 'x-default': false })),
    completed_at: t.Optional(Timestamp({ nullable: true })),
    created_at: t.Optional(Timestamp({})),
    list: t.Optional({
      ...ListName,
      type: ['string', 'null'],
      nullable: true,
      description:
        'The name of its list, instead of `list_id`. A list that does not exist is created',
    }),
    ...ignoredMembers,
  },
  { ...closed, $id: 'ImportedTask' },
)
export type ImportedTask = Static<typeof ImportedTask>

/** A record that changes a task, with `?mode=update`. */
export const ImportedChange = t.Object(
  { ...ImportedTask.properties, title: t.Optional(Title) },
  { ...closed, $id: 'ImportedChange' },
)
export type ImportedChange = Static<typeof ImportedChange>
export type ImportedList = Static<typeof ImportedList>

/** A list of an export. The `list_id` of records may refer to its id. */
export const ImportedList = t.Object(
  {
    id: Reference(),
    name: ListName,
    position: ignored,
    task_count: ignored,
    version: ignored,
    created_at: ignored,
    updated_at: ignored,
  },
  { ...closed, $id: 'ImportedList' },
)

const Import = FileBody(
  t.Object(
    { lists: t.Optional(t.Array(ImportedList)), tasks: t.Array(ImportedTask) },
    { ...closed, $id: 'TaskImport', examples: [examples.imports['application/json']] },
  ),
)
/** The programs whose exports can be imported. */
const programNames = ['todoist', 'google', 'microsoft', 'taskwarrior', 'vikunja'] as const
export type ProgramName = (typeof programNames)[number]

const modes = ['create', 'update'] as const
export type ImportMode = (typeof modes)[number]

const ImportQuery = t.Object(
  {
    mode: t.Optional(
      Enum(modes, {
        description:
          '`update` changes the tasks whose ids the file has (absent members stay), and creates the others',
        examples: ['update'],
        'x-default': 'create',
      }),
    ),
    from: t.Optional(
      Enum(programNames, {
        description: 'The program that wrote the file; this service by default',
        examples: ['todoist'],
      }),
    ),
    dry_run: t.Optional(
      BooleanParam({
        description: 'Validate without importing',
        examples: [true],
        'x-default': false,
      }),
    ),
  },
  closed,
)
const Dropped = t.Array(
  t.Object(
    {
      member: t.String({ examples: ['location'] }),
      count: t.Integer({ description: 'Tasks that have it', examples: [1] }),
    },
    { ...closed, $id: 'DroppedMember' },
  ),
  { description: 'What has no counterpart here, and is not imported', examples: [[]] },
)
const Imported = t.Object(
  {
    imported: t.Integer({ description: 'New tasks', examples: [2] }),
    updated: t.Integer({ description: 'Tasks that were changed', examples: [0] }),
    ids: t.Array(Id(), { description: 'The ids of the tasks, in the order of the records' }),
    dropped: Dropped,
  },
  { ...closed, $id: 'ImportResult' },
)
export type Imported = Static<typeof Imported>
const ImportResult = t.Union([
  Imported,
  t.Object(
    { valid: t.Integer({ examples: [2] }), dropped: Dropped },
    { ...closed, $id: 'ImportCheck' },
  ),
])
/** The JSON format; the other formats are text. */
const Export = t.Union([
  t.Object({ lists: t.Array(List), tasks: t.Array(Task) }, { ...closed, $id: 'TaskExport' }),
  t.String(),
])
const ExportQuery = t.Object(
  {
    format: t.Optional(
      Enum(['json', 'ndjson', 'csv', 'ics'], {
        description: 'Has precedence over `Accept`; JSON without either',
        examples: ['csv'],
      }),
    ),
  },
  closed,
)

const tags = ['Many at once']

export const exportTasks = {
  query: ExportQuery,
  response: { 200: Export, ...problemResponses('invalid-request') },
  detail: {
    tags,
    operationId: 'exportTasks',
    summary: 'Export all tasks',
    description:
      'JSON, NDJSON, CSV or iCalendar (VTODO), selected by `format` or `Accept`. The response is streamed. If it ' +
      'fails, the connection breaks, so that an incomplete export never looks complete.',
    'x-headers': ['Content-Disposition'],
    'x-produces': Object.values(formats).map(({ mediaType }) => mediaType),
    'x-examples': Object.fromEntries(
      Object.values(formats)
        .filter(({ mediaType }) => mediaType !== 'application/json')
        .map(({ mediaType, head, createRecord, foot }) => [
          mediaType,
          `${head([])}${createRecord()(examples.exportedTask, true)}${foot}`,
        ]),
    ),
  },
} as const

export const importTasks = {
  query: ImportQuery,
  body: Import,
  response: {
    200: ImportResult,
    ...problemResponses(
      'malformed-request',
      'body-too-large',
      'too-many-lists',
      ...idempotencyProblems,
    ),
  },
  detail: {
    tags,
    operationId: 'importTasks',
    summary: 'Import tasks, all or nothing',
    description:
      'JSON, NDJSON, CSV or iCalendar as exported, or a file of another program (`from`); a record requires only a title. Lists are found by their names, or created. A 422 names each invalid record, at most ' +
      '100, by `/tasks/6` or by the line where it starts, `/line/7`.',
    'x-accepts': ['application/json', 'application/x-ndjson', 'text/csv', 'text/calendar'],
    'x-imports': true,
    'x-examples': examples.imports,
    'x-takes': ['Idempotency-Key'],
    'x-headers': ['Idempotency-Replayed'],
  },
} as const
