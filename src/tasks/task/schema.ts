import { type Static, t } from 'elysia'
import { titleLengthMax } from '../../limits.ts'
import { withDefaults } from '../../schema/defaults.ts'
import {
  Day,
  Enum,
  Id,
  Integer,
  RecurrenceRule,
  Reference,
  ReminderTime,
  reminderMinutesMax,
  Text,
  Timestamp,
  TimeZone,
} from '../../schema/types.ts'
import * as examples from '../examples.ts'

export const closed = { additionalProperties: false }

export const Title = Text({ min: 1, max: titleLengthMax, blank: false, examples: ['Buy milk'] })
const Description = Text({ min: 0, max: 10_000, nullable: true, examples: [null] })
export const Priority = Enum(['low', 'normal', 'high', 'urgent'], {
  $id: 'Priority',
  examples: ['normal'],
})
export const Version = Integer({
  minimum: 1,
  maximum: 2_147_483_647,
  description: 'Incremented by each write',
  examples: [1],
})
const DueAt = Timestamp({ nullable: true, examples: ['2026-12-24T18:00:00.000Z'] })
const DueOn = Day({
  nullable: true,
  description: 'A day instead of the time `due_at`. The service never converts one into the other.',
  examples: [null],
})
export const ListId = Reference({
  nullable: true,
  description: 'Null is the inbox',
  examples: [null],
})
const ruleParts = {
  rrule: RecurrenceRule({
    description:
      'RFC 5545: FREQ (DAILY, WEEKLY, MONTHLY, YEARLY), INTERVAL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS, COUNT, UNTIL, WKST; ' +
      'RFC 7529: RSCALE=GREGORIAN with SKIP',
    examples: ['FREQ=WEEKLY;BYDAY=MO'],
  }),
  time_zone: TimeZone({ description: 'IANA; by default that of the user', examples: ['UTC'] }),
  from: Enum(['due', 'completion'], {
    description: 'Whether the next one is counted from the due date or from the completion',
    examples: ['due'],
  }),
}
/** The time zone is stored, so that a user who moves keeps the times of a series. */
const Recurrence = t.Union(
  [
    t.Object(ruleParts, { ...closed, $id: 'Recurrence', examples: [examples.recurrence] }),
    t.Null(),
  ],
  { examples: [null] },
)
const NewRecurrence = t.Union(
  [
    t.Object(
      {
        rrule: ruleParts.rrule,
        time_zone: t.Optional(ruleParts.time_zone),
        from: t.Optional({ ...ruleParts.from, 'x-default': 'due' }),
      },
      { ...closed, $id: 'NewRecurrence', examples: [examples.recurrence] },
    ),
    t.Null(),
  ],
  {
    description: 'Requires `due_at` or `due_on`. To complete the task creates the next one.',
    examples: [null],
  },
)
const Reminder = ReminderTime(
  [
    t.Object({ at: Timestamp({ examples: ['2026-12-24T09:00:00.000Z'] }) }, closed),
    t.Object(
      {
        minutes_before: Integer({
          minimum: 0,
          maximum: reminderMinutesMax,
          description: 'Before `due_at`, or before 09:00 of `due_on` in the time zone of the user',
          examples: [30],
        }),
      },
      closed,
    ),
  ],
  { $id: 'Reminder', examples: [examples.reminder] },
)
/** How many reminders a task can have. */
export const remindersMax = 5
const Reminders = t.Array(Reminder, {
  maxItems: remindersMax,
  description: 'Those in the past are not delivered. A completed task has none.',
  examples: [[examples.reminder]],
})
const SeriesId = Id({
  nullable: true,
  description: 'The same for all tasks of a recurrence',
  examples: [null],
})
export const Position = Text({
  min: 1,
  max: 200,
  description: 'Sorts bytewise. Only a move changes it.',
  examples: ['5000000017'],
})
const Tags = t.Array(Text({ min: 1, max: 50 }), {
  maxItems: 20,
  uniqueItems: true,
  examples: [['home']],
})

export const Task = t.Object(
  {
    id: Id(),
    user_id: Id({ description: 'The owner: the user of the token' }),
    title: Title,
    description: Description,
    completed: t.Boolean(),
    completed_at: Timestamp({ nullable: true }),
    priority: Priority,
    due_at: DueAt,
    due_on: DueOn,
    tags: Tags,
    list_id: ListId,
    recurrence: Recurrence,
    reminders: Reminders,
    series_id: SeriesId,
    version: Version,
    created_at: Timestamp({}),
    updated_at: Timestamp({}),
    position: Position,
  },
  { ...closed, $id: 'Task', 'x-headers': ['ETag'], examples: [examples.task] },
)

export const optional = {
  description: t.Optional(Description),
  priority: t.Optional(Priority),
  due_at: t.Optional(DueAt),
  due_on: t.Optional(DueOn),
  tags: t.Optional(Tags),
  list_id: t.Optional(ListId),
  recurrence: t.Optional(NewRecurrence),
  reminders: t.Optional(Reminders),
}
export const defaults = { priority: 'normal', tags: [], reminders: [] }
export const NewTask = t.Object(
  { title: Title, ...withDefaults(optional, defaults) },
  { ...closed, $id: 'NewTask', examples: [examples.newTask] },
)
/** Members that the server sets are accepted in any form, so that a task can be sent back as it was read. */
export const ignored = t.Optional(t.Unknown({ description: 'Ignored' }))
export const ignoredMembers = {
  id: ignored,
  user_id: ignored,
  series_id: ignored,
  position: ignored,
  version: ignored,
  updated_at: ignored,
}
/** All members that a client can set. Absent members get their defaults. */
export const TaskReplacement = t.Object(
  {
    title: Title,
    completed: t.Optional(t.Boolean({ 'x-default': false })),
    ...withDefaults(optional, defaults),
    ...ignoredMembers,
    completed_at: ignored,
    created_at: ignored,
  },
  { ...closed, $id: 'TaskReplacement', examples: [examples.replacement] },
)

/** RFC 7396: absent members stay, null clears. */
export const TaskPatch = t.Partial(
  t.Object({ title: Title, completed: t.Boolean(), ...optional }),
  { ...closed, $id: 'TaskPatch', examples: [examples.changes] },
)

export const TaskId = t.Object({ id: Id() })

export type Task = Static<typeof Task>
export type NewTask = Static<typeof NewTask>
export type TaskReplacement = Static<typeof TaskReplacement>
export type NewRecurrence = NonNullable<NewTask['recurrence']>
export type TaskPatch = Static<typeof TaskPatch>
