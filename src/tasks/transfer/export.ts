import { negotiate } from '../../http/content-negotiation.ts'
import type { List } from '../../lists/schema.ts'
import { csvHeader, csvRecord } from './formats/csv.ts'
import { calendarFoot, calendarHead, createCalendarRecord } from './formats/icalendar.ts'
import type { ExportedTask } from './repository.ts'

type Format = {
  mediaType: string
  head: (lists: readonly List[]) => string
  /** The function that writes the records of one file. */
  createRecord: () => (task: ExportedTask, isFirst: boolean) => string
  foot: string
}

/** The formats by the value of `?format=`. */
export const formats = {
  json: {
    mediaType: 'application/json',
    head: (lists) => `{"lists":${JSON.stringify(lists)},\n"tasks":[`,
    createRecord:
      () =>
      ({ list: _list, ...task }, isFirst) =>
        `${isFirst ? '' : ','}\n${JSON.stringify(task)}`,
    foot: '\n]}\n',
  },
  ndjson: {
    mediaType: 'application/x-ndjson',
    head: () => '',
    // A task of the inbox has no list.
    createRecord:
      () =>
      ({ list, ...task }) =>
        `${JSON.stringify(list === null ? task : { ...task, list })}\n`,
    foot: '',
  },
  csv: { mediaType: 'text/csv', head: () => csvHeader, createRecord: () => csvRecord, foot: '' },
  ics: {
    mediaType: 'text/calendar',
    head: () => calendarHead,
    createRecord: createCalendarRecord,
    foot: calendarFoot,
  },
} satisfies Record<string, Format>

export type FormatName = keyof typeof formats

/** `format`, else the format that `Accept` prefers, else JSON. */
export const negotiateFormat = (
  format: FormatName | undefined,
  accept: string | null,
): FormatName => {
  if (format !== undefined) return format
  const type = negotiate(accept, ['application/json', ...mediaTypes])
  return names.find((name) => formats[name].mediaType === type) ?? 'json'
}

const names = Object.keys(formats) as FormatName[]
const mediaTypes = names.map((name) => formats[name].mediaType)

/** Rows per statement. */
export const exportRows = 500

type Read = (after: string | undefined) => Promise<ExportedTask[] | undefined>
type First = { lists: readonly List[]; page: ExportedTask[] }

/**
 * Streams all tasks at the speed of the client: a page is read when the previous one is sent, so memory stays flat. The
 * first page is read before the response starts, so that its errors are problems. A later error, or the end of the
 * session, breaks the connection, so that an incomplete export never looks complete.
 */
export const exportResponse = (first: First, read: Read, name: FormatName): Response => {
  const format: Format = formats[name]
  const record = format.createRecord()
  let page: ExportedTask[] | undefined = first.page
  let isFirst = true

  const stream = new ReadableStream<string>(
    {
      async pull(controller) {
        if (page === undefined) throw new Error('the session ended during the export')
        const text = page.map((task, at) => record(task, isFirst && at === 0)).join('')
        const isLast = page.length < exportRows
        controller.enqueue(
          `${isFirst ? format.head(first.lists) : ''}${text}${isLast ? format.foot : ''}`,
        )
        isFirst = false
        if (isLast) controller.close()
        else page = await read(page.at(-1)?.id)
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(stream.pipeThrough(new TextEncoderStream()), {
    headers: {
      'content-type': `${format.mediaType}; charset=utf-8`,
      'content-disposition': `attachment; filename="tasks.${name}"`,
    },
  })
}
