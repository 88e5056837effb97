import { throwInvalidRequest } from '../../http/problem.ts'
import { normalizeId } from '../../schema/types.ts'
import type { Move } from './schema.ts'

/** The neighbour that a move names; undefined: it goes to the end. */
export type Anchor = { id: string; side: 'before' | 'after' } | undefined

/** 422 for a move before and after something, or next to itself. */
export const toAnchor = (id: string, { before, after }: Move): Anchor => {
  if (before !== undefined && after !== undefined)
    return throwInvalidRequest('/after', 'excludes before')
  const side = before === undefined ? 'after' : 'before'
  const named = before ?? after
  if (named === undefined) return undefined
  const anchor = normalizeId(named)
  return anchor === normalizeId(id)
    ? throwInvalidRequest(`/${side}`, 'is what is moved')
    : { id: anchor, side }
}
