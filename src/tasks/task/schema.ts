import { type Static, t } from 'elysia'
import {
  BooleanParam,
  Enum,
  Id,
  Integer,
  IntegerParam,
  ListParam,
  Text,
  Timestamp,
} from '../../schema/types.ts'
import * as examples from '../examples.ts'

export const closed = { additionalProperties: false }

export const Title = Text({ min: 1, max: 500, blank: false, examples: ['Buy milk'] })
const Description = Text({ min: 0, max: 10_000, nullable: true, examples: [null] })
const Priority = Enum(['low', 'normal', 'high', 'urgent'], { examples: ['normal'] })
export const Version = Integer({
  minimum: 1,
  maximum: 2_147_483_647,
  description: 'Grows by one with each change',
  examples: [1],
})
const DueAt = Timestamp({ nullable: true, examples: ['2026-12-24T18:00:00.000Z'] })
const Tags = t.Array(Text({ min: 1, max: 50 }), {
  maxItems: 20,
  uniqueItems: true,
  examples: [['home']],
})

export const Task = t.Object(
  {
    id: Id(),
    user_id: Id({ description: 'The owner: always the user of the token' }),
    title: Title,
    description: Description,
    completed: t.Boolean(),
    completed_at: Timestamp({ nullable: true }),
    priority: Priority,
    due_at: DueAt,
    tags: Tags,
    version: Version,
    created_at: Timestamp({}),
    updated_at: Timestamp({}),
  },
  { ...closed, $id: 'Task', 'x-headers': ['ETag'], examples: [examples.task] },
)

export const optional = {
  description: t.Optional(Description),
  priority: t.Optional(Priority),
  due_at: t.Optional(DueAt),
  tags: t.Optional(Tags),
}
export const NewTask = t.Object(
  { title: Title, ...optional },
  { ...closed, $id: 'NewTask', examples: [examples.newTask] },
)
/** The whole of a task that is a client's to say. What is left out goes back to its default. */
export const TaskReplacement = t.Object(
  { title: Title, completed: t.Boolean(), ...optional },
  { ...closed, $id: 'TaskReplacement', examples: [examples.replacement] },
)

/** No body toggles, `{completed}` sets. */
export const Completion = t.Union([
  t.Undefined(),
  t.Object(
    { completed: t.Boolean() },
    { ...closed, $id: 'Completion', examples: [examples.completion] },
  ),
])
export const Completed = t.Object(
  { success: t.Literal(true), completed: t.Boolean({ examples: [true] }) },
  { ...closed, $id: 'Completed', 'x-headers': ['ETag'] },
)
export const Deleted = t.Object({ success: t.Literal(true) }, { ...closed, $id: 'Deleted' })

/** RFC 7396: what is left out stays, null clears. */
export const TaskChanges = t.Partial(
  t.Object({ title: Title, completed: t.Boolean(), ...optional }),
  { ...closed, minProperties: 1, $id: 'TaskChanges', examples: [examples.changes] },
)

const sorts = ['created_at', 'updated_at', 'due_at', 'priority', 'title'] as const
export const Sort = Enum([...sorts, ...sorts.map((sort) => `-${sort}` as const)], {
  description: 'Descending with `-`. `-created_at` where it is left out; no due date comes last',
  examples: ['-priority'],
})
export const paging = {
  limit: t.Optional(
    IntegerParam({
      minimum: 1,
      maximum: 200,
      description: '50 where it is left out',
      examples: [50],
    }),
  ),
  cursor: t.Optional(
    Text({
      min: 1,
      max: 8192,
      description: '`next_cursor` of the page before',
      examples: ['q1w2e3r4t5z6u7i8o9p0'],
    }),
  ),
}
const moment = (description: string) =>
  t.Optional(Timestamp({ description, examples: ['2026-12-24T18:00:00Z'] }))

export const TaskQuery = t.Object(
  {
    completed: t.Optional(BooleanParam({ examples: [false] })),
    priority: t.Optional(Priority),
    tag: t.Optional(
      ListParam(Text({ min: 1, max: 50 }), {
        maxItems: 20,
        description: 'Tasks with this tag; repeated, with all of them',
        examples: [['home']],
      }),
    ),
    q: t.Optional(
      Text({
        min: 1,
        max: 200,
        description: 'Text in title or description, whatever its case',
        examples: ['milk'],
      }),
    ),
    due_before: moment('Due earlier than this'),
    due_after: moment('Due later than this'),
    updated_after: moment('Changed later than this'),
    sort: t.Optional(Sort),
    ...paging,
  },
  closed,
)
export const TrashQuery = t.Object(paging, closed)
export const TaskPage = t.Object(
  {
    tasks: t.Array(Task),
    next_cursor: Text({ min: 1, max: 8192, nullable: true, description: 'null on the last page' }),
  },
  { ...closed, $id: 'TaskPage', 'x-headers': ['Link'] },
)

export const TrashedTask = t.Object(
  { ...Task.properties, deleted_at: Timestamp({}) },
  { ...closed, $id: 'TrashedTask', examples: [examples.trashedTask] },
)
export const TrashPage = t.Object(
  { ...TaskPage.properties, tasks: t.Array(TrashedTask) },
  { ...closed, $id: 'TrashPage', 'x-headers': ['Link'] },
)
export const TaskId = t.Object({ id: Id() })

export type Task = Static<typeof Task>
export type NewTask = Static<typeof NewTask>
export type TaskReplacement = Static<typeof TaskReplacement>
export type TaskChanges = Static<typeof TaskChanges>
export type TaskQuery = Static<typeof TaskQuery>
export type TrashedTask = Static<typeof TrashedTask>
export type Sort = Static<typeof Sort>
