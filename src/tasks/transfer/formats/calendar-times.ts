import type ICAL from 'ical.js'
import { toTimeZone } from '../../../schema/calendar.ts'

/** When a task is due. `hasStart`: DTSTART says nothing else. */
export type FoundDue = { due_on?: string; due_at?: string; zone?: string; hasStart: boolean }

/** DUE, or the end of DURATION; or the start of a task that has neither. */
export const dueOf = (
  todo: ICAL.Component,
  zones: ReadonlyMap<string, ICAL.Timezone>,
): FoundDue => {
  const start = todo.getFirstProperty('dtstart')
  const property = todo.getFirstProperty('due') ?? start
  const value = timeOf(property)
  if (property === null || value === undefined) return { hasStart: false }
  const duration = todo.getFirstPropertyValue('duration')
  const isEnd = property === start && duration !== null
  if (isEnd) value.addDuration(duration as ICAL.Duration)
  const hasStart = property === start || timeOf(start)?.toString() === value.toString()
  if (value.isDate) return { due_on: value.toString(), hasStart: hasStart && !isEnd }
  const zone = ianaZone(property)
  return {
    due_at: toInstant(value, property, zones),
    hasStart: hasStart && !isEnd,
    ...(zone && { zone }),
  }
}

const timeOf = (property: ICAL.Property | null): ICAL.Time | undefined => {
  const value = property?.getFirstValue()
  return typeof value === 'object' && value !== null && 'isDate' in value
    ? value.clone()
    : undefined
}

/** The time of a property in UTC. */
export const instantOf = (
  property: ICAL.Property | null,
  zones: ReadonlyMap<string, ICAL.Timezone>,
) => {
  const time = timeOf(property)
  return property && time ? toInstant(time, property, zones) : undefined
}

/** Some programs write the IANA name at the end of a path: `/freeassociation.sourceforge.net/Europe/Berlin`. */
const ianaZone = (property: ICAL.Property): string | undefined => {
  const tzid = String(property.getParameter('tzid') ?? '')
  return toTimeZone(tzid) ?? toTimeZone(tzid.split('/').slice(-2).join('/'))
}

const toInstant = (
  time: ICAL.Time,
  property: ICAL.Property,
  zones: ReadonlyMap<string, ICAL.Timezone>,
): string => {
  const { year, month, day, hour, minute, second } = time
  const zone = ianaZone(property)
  const own = zones.get(String(property.getParameter('tzid') ?? ''))
  if (zone !== undefined) {
    const local = Temporal.PlainDateTime.from({ year, month, day, hour, minute, second })
    return new Date(local.toZonedDateTime(zone).epochMilliseconds).toISOString()
  }
  if (own) time.zone = own
  const seconds = own
    ? time.toUnixTime()
    : Date.UTC(year, month - 1, day, hour, minute, second) / 1000
  return new Date(seconds * 1000).toISOString()
}
