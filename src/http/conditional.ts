import type { ExpectedVersions } from '../tasks/task/repository.ts'
import type { Task } from '../tasks/task/schema.ts'
import { throwProblem } from './problem.ts'

/** A strong validator (RFC 9110 §8.8.3): the version grows with every write. */
export const formatEtag = ({ version }: Pick<Task, 'version'>): string => `"${version}"`

const entityTag = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g
const versionTag = /^"([1-9]\d{0,9})"$/

/**
 * The versions that `If-Match` allows (RFC 9110 §13.1.1), or nothing where any will do:
 * without the header, and with `*`. Compared strongly, so that a weak tag allows none;
 * tags that are not ours match nothing. What does not parse is 400.
 */
export const parseIfMatch = (headers: Headers): ExpectedVersions => {
  const header = headers.get('if-match')
  if (header === null || header.trim() === '*') return undefined
  return parseEntityTags(header).flatMap((tag) => {
    const version = Number(versionTag.exec(tag)?.[1] ?? Number.NaN)
    return version <= 2_147_483_647 ? [version] : []
  })
}

/** Whether `If-None-Match` names what the client has (RFC 9110 §13.1.2), compared weakly. */
export const matchesIfNoneMatch = (headers: Headers, etag: string): boolean => {
  const header = headers.get('if-none-match')
  if (header === null) return false
  return (
    header.trim() === '*' || parseEntityTags(header).some((tag) => tag.replace(/^W\//, '') === etag)
  )
}

/** A list with commas, which quoted tags may hold too. */
const parseEntityTags = (header: string): string[] => {
  const tags = header.match(entityTag) ?? []
  const skeleton = header.replace(entityTag, 'T').replace(/[ \t]/g, '')
  return /^,*T(,+T)*,*$/.test(skeleton) ? tags : throwProblem('malformed-request')
}
