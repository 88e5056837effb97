import { Elysia } from 'elysia'
import { now } from '../../db/clock.ts'
import type { Authenticated } from '../../http/authenticated.ts'
import { matchesIfNoneMatch } from '../../http/conditional.ts'
import { throwProblem } from '../../http/problem.ts'
import { exportResponse, exportRows } from '../transfer/export.ts'
import type { CalendarPage, CalendarRepository } from './repository.ts'
import { readCalendar } from './schema.ts'

type Needs = { calendars: CalendarRepository; authenticated: Authenticated }

/** The tasks of a user for calendar programs. */
export const calendarRoutes = ({ calendars, authenticated }: Needs) =>
  new Elysia().use(authenticated).get(
    '/calendar/:secret',
    async ({ principal, request }) => {
      const read = calendars(principal)
      const known = changeOf(request.headers)
      const first = await read({ rows: exportRows, known })
      if (first === undefined) return throwProblem('calendar-not-found')

      const etag = formatFeedEtag(first.change)
      if (matchesIfNoneMatch(request.headers, etag))
        return new Response(null, { status: 304, headers: { etag } })
      const page = known === first.change ? await read({ rows: exportRows }) : first
      if (page === undefined) return throwProblem('calendar-not-found')
      const next = async (last?: string) => recordsOf(await read({ rows: exportRows, last }))
      const response = exportResponse({ lists: [], page: recordsOf(page) ?? [] }, next, 'ics')
      response.headers.set('etag', etag)
      response.headers.set('content-disposition', 'inline; filename="tasks.ics"')
      return response
    },
    readCalendar,
  )

/** The records of an export; iCalendar has no lists. */
const recordsOf = (page: CalendarPage | undefined) =>
  page?.tasks.map((task) => ({ ...task, list: null }))

/** A feed changes with the tasks, and on New Year's Day: it describes time zones by years. */
const formatFeedEtag = (change: number): string => `"${change}-${now().slice(0, 4)}"`

/** The change in the tag that the program sends back. */
const changeOf = (headers: Headers): number | undefined => {
  const [, change] = /"(\d{1,15})-\d{4}"/.exec(headers.get('if-none-match') ?? '') ?? []
  return change === undefined ? undefined : Number(change)
}
