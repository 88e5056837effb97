import type { tasks } from '../../db/schema.ts'
import type { List } from '../../lists/schema.ts'
import type { Task } from '../task/schema.ts'
import { type StoredTask, toTask } from '../task/sql.ts'
import type { Change } from './schema.ts'

/** A delivered reminder. The changes feed has none, because a copy does not need it. */
type Reminded = { op: 'reminder'; remind_at: string; task: Task }
/** A change, and the position of a copy that has received it. */
export type Entry = { change: Change | Reminded; number: number; id: string }
/** A task, a tombstone, a list, a deleted list, a reminder, or only the head. Members of the other kinds are null or absent. */
export type Row = { head: number; live?: string | null } & {
  [Name in keyof Task | 'change' | 'deleted_at']: (typeof tasks.$inferSelect)[Name] | null
} & {
  erased_id: string | null
  erased_deleted_at: string | null
  erased_change: number | null
} & ListRow &
  ReminderRow

type ListRow = {
  [Name in 'listed_id' | 'listed' | 'unlisted_id']?: string | null
} & { [Name in 'listed_change' | 'unlisted_change']?: number | null }

type ReminderRow = { [Name in 'reminder_id' | 'reminded_at' | 'reminded']?: string | null } & {
  reminder_change?: number | null
}

/** What a row contains; undefined if only the head. */
export const toEntry = (row: Row): Entry | undefined => {
  const {
    erased_id,
    erased_deleted_at,
    erased_change,
    change,
    deleted_at,
    head: _head,
    live: _live,
    listed_id: _listedId,
    listed_change: _listedChange,
    listed: _listed,
    unlisted_id: _unlistedId,
    unlisted_change: _unlistedChange,
    reminder_id: _reminderId,
    reminder_change: _reminderChange,
    reminded_at: _remindedAt,
    reminded: _reminded,
    ...task
  } = row
  const other = toListEntry(row) ?? toReminderEntry(row)
  if (other) return other
  const id = task.id ?? erased_id
  const number = change ?? erased_change
  if (id === null || number === null) return undefined
  const deletedAt = erased_deleted_at ?? deleted_at
  if (deletedAt !== null) return { id, number, change: { op: 'delete', id, deleted_at: deletedAt } }
  return { id, number, change: { op: 'upsert', task: toTask(task as StoredTask) } }
}

const toReminderEntry = (row: ReminderRow): Entry | undefined => {
  const { reminder_id: id, reminder_change: number, reminded_at: remind_at, reminded } = row
  if (!id || !number || !remind_at || !reminded) return undefined
  const task = JSON.parse(reminded) as Task
  return { id, number, change: { op: 'reminder', remind_at, task } }
}

const toListEntry = (row: ListRow): Entry | undefined => {
  const { listed_id, listed_change, listed, unlisted_id, unlisted_change } = row
  if (listed_id && listed_change && listed) {
    const change = { op: 'upsert' as const, list: JSON.parse(listed) as List }
    return { id: listed_id, number: listed_change, change }
  }
  if (unlisted_id && unlisted_change)
    return {
      id: unlisted_id,
      number: unlisted_change,
      change: { op: 'delete', list_id: unlisted_id },
    }
  return undefined
}
