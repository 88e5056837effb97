import { isDay } from '../../../schema/calendar.ts'
import type { Dropped } from '../dropped.ts'
import { keptReminders, minutesBefore, minutesUntilNine } from '../reminders.ts'
import { type CsvTask, known, textOf } from './source.ts'

/** The importance of a task, in lower case. */
export const microsoftPriorities = new Map<string, string>([
  ['low', 'low'],
  ['normal', 'normal'],
  ['high', 'high'],
])

const columns = new Set([
  'subject',
  'due date',
  'notes',
  'priority',
  'categories',
  'date completed',
  'status',
  '% complete',
  'reminder on/off',
  'reminder date',
  'reminder time',
])

/** A task of the CSV that Outlook exports. */
export const fromOutlook = ({ cells }: CsvTask, dropped: Dropped) => {
  dropped.addOthers(
    Object.fromEntries(
      Object.entries(cells).filter(([, cell]) => !/^(0|false|normal)$/i.test(cell)),
    ),
    columns,
  )
  const done = usDay(cells['date completed'])
  const isCompleted = done !== undefined || /^complete/i.test(cells.status ?? '')
  return known({
    title: cells.subject,
    description: textOf(cells.notes),
    priority: microsoftPriorities.get((cells.priority ?? '').toLowerCase()),
    due_on: usDay(cells['due date']),
    reminders: remindersOf(cells, dropped),
    tags: cells.categories
      ? cells.categories
          .split(/[;,]/)
          .map((tag) => tag.trim())
          .filter(Boolean)
      : undefined,
    completed: isCompleted,
    completed_at: done && `${done}T00:00:00.000Z`,
  })
}

/** A time in the time zone of the user, which the file does not say: it is counted from 09:00 of the due day. */
const remindersOf = (cells: CsvTask['cells'], dropped: Dropped) => {
  if (!/^true$/i.test(cells['reminder on/off'] ?? '')) return undefined
  const [day = '', due = ''] = [usDay(cells['reminder date']), usDay(cells['due date'])]
  const [, hour, minute, half] =
    /^(\d{1,2}):(\d\d)(?::\d\d)?\s*([AP]M)?$/i.exec(cells['reminder time'] ?? '') ?? []
  if (!isDay(day) || !isDay(due) || hour === undefined)
    return keptReminders([undefined], dropped, 'reminder date')
  const hours = half ? (Number(hour) % 12) + (half.toUpperCase() === 'PM' ? 12 : 0) : Number(hour)
  const days = Temporal.PlainDate.from(day).until(due, { largestUnit: 'day' }).days
  const minutes = days * 1440 + minutesUntilNine - (hours * 60 + Number(minute))
  return keptReminders([minutesBefore(minutes)], dropped, 'reminder date')
}

/** Outlook writes `12/24/2026` in English, and ISO days elsewhere; other text is reported by the validation. */
const usDay = (text: string | undefined): string | undefined => {
  const [, month = '', day = '', year] = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(text ?? '') ?? []
  return year ? `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}` : textOf(text)
}
