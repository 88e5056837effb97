import { type Static, t } from 'elysia'
import { Digits, Id, Instant, OneOf, Text } from '../shapes.ts'

const closed = { additionalProperties: false }

const Title = Text({ min: 1, max: 500, blank: false, examples: ['Buy milk'] })
const Description = Text({ min: 0, max: 10_000, nullable: true, examples: [null] })
const Priority = OneOf(['low', 'normal', 'high', 'urgent'], { examples: ['normal'] })
const DueAt = Instant({ nullable: true, examples: ['2026-12-24T18:00:00.000Z'] })
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
    completed_at: Instant({ nullable: true }),
    priority: Priority,
    due_at: DueAt,
    tags: Tags,
    version: t.Integer({ description: 'Grows by one with each change', examples: [1] }),
    created_at: Instant({}),
    updated_at: Instant({}),
  },
  { ...closed, $id: 'Task' },
)

const optional = {
  description: t.Optional(Description),
  priority: t.Optional(Priority),
  due_at: t.Optional(DueAt),
  tags: t.Optional(Tags),
}
export const NewTask = t.Object({ title: Title, ...optional }, { ...closed, $id: 'NewTask' })
/** The whole of a task that is a client's to say. What is left out goes back to its default. */
export const TaskReplacement = t.Object(
  { title: Title, completed: t.Boolean(), ...optional },
  { ...closed, $id: 'TaskReplacement' },
)

/** No body toggles, `{completed}` sets. */
export const Completion = t.Union([
  t.Undefined(),
  t.Object({ completed: t.Boolean() }, { ...closed, $id: 'Completion' }),
])
export const Completed = t.Object(
  { success: t.Literal(true), completed: t.Boolean() },
  { ...closed, $id: 'Completed' },
)
export const Deleted = t.Object({ success: t.Literal(true) }, { ...closed, $id: 'Deleted' })

export const TaskQuery = t.Object(
  {
    limit: t.Optional(Digits({ minimum: 1, maximum: 200, description: '50 where it is left out' })),
    cursor: t.Optional(
      Text({ min: 1, max: 4096, description: '`next_cursor` of the page before' }),
    ),
  },
  closed,
)
export const TaskPage = t.Object(
  {
    tasks: t.Array(Task),
    next_cursor: Text({ min: 1, max: 4096, nullable: true, description: 'null on the last page' }),
  },
  { ...closed, $id: 'TaskPage' },
)
export const TaskId = t.Object({ id: Id() })

export type Task = Static<typeof Task>
export type NewTask = Static<typeof NewTask>
export type TaskReplacement = Static<typeof TaskReplacement>
