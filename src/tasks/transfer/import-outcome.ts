import type { KeyInFlight, StoredResponse } from '../../db/idempotency.ts'

/** Why a file cannot be applied. `refused` is a row, by its place. */
export type ImportFault =
  | { refused: { nth: number; is_known: boolean } }
  | { unknownList: string }
  | 'too-many-lists'
export type ImportOutcome =
  | { count: number; updated: number; ids: string[] }
  | ImportFault
  | { storedResponse: StoredResponse }
  | KeyInFlight

/** The row of a check. */
type Checked = {
  room: { has_room: boolean }
  unknown: { unknown: string | null } | null
  refused: { nth: number | null; is_known: boolean | null } | null
}
/** The row of an import. */
export type ImportAnswer = Checked & {
  counted: { count: number; updated: number; ids: string[] }
  earlierResponse?: StoredResponse | null
}

/** The outcome of an import. */
export const toOutcome = ({ counted, earlierResponse, ...checked }: ImportAnswer): ImportOutcome =>
  earlierResponse ? { storedResponse: earlierResponse } : (faultOf(checked) ?? counted)

/** The fault that a check or an import found. */
export const faultOf = ({ room, unknown, refused }: Checked): ImportFault | null => {
  if (unknown?.unknown) return { unknownList: unknown.unknown }
  const { nth = null, is_known = null } = refused ?? {}
  if (nth !== null) return { refused: { nth, is_known: is_known === true } }
  return room.has_room ? null : 'too-many-lists'
}
