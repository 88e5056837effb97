import type { ExpectedVersions } from '../db/params.ts'
import { throwMalformedRequest } from './problem.ts'

/** A strong entity tag (RFC 9110 §8.8.3), because every write increments the version. */
export const formatEtag = ({ version }: { version: number }): string => `"${version}"`

const entityTag = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g
const versionTag = /^"([1-9]\d{0,9})"$/

/**
 * The versions that `If-Match` accepts (RFC 9110 §13.1.1); undefined for any version, without the header or with `*`.
 * The comparison is strong: weak tags and tags of another form match nothing. A header that does not parse is 400.
 */
export const parseIfMatch = (headers: Headers): ExpectedVersions => {
  const header = headers.get('if-match')
  if (header === null || header.trim() === '*') return undefined
  return parseEntityTags('if-match', header).flatMap((tag) => {
    const version = Number(versionTag.exec(tag)?.[1] ?? Number.NaN)
    return version <= 2_147_483_647 ? [version] : []
  })
}

/** Whether `If-None-Match` contains the entity tag (RFC 9110 §13.1.2), by weak comparison. */
export const matchesIfNoneMatch = (headers: Headers, etag: string): boolean => {
  const header = headers.get('if-none-match')
  if (header === null) return false
  return (
    header.trim() === '*' ||
    parseEntityTags('if-none-match', header).some((tag) => tag.replace(/^W\//, '') === etag)
  )
}

/** Parses a comma-separated list; quoted tags may contain commas too. */
const parseEntityTags = (name: string, header: string): string[] => {
  const tags = header.match(entityTag) ?? []
  const skeleton = header.replace(entityTag, 'T').replace(/[ \t]/g, '')
  if (/^,*T(,+T)*,*$/.test(skeleton)) return tags
  return throwMalformedRequest('header', `/${name}`, 'must be an ETag in quotes, such as "3"')
}
