/** The trace of the client that a request belongs to. */
export type TraceContext = { traceId: string; parentId: string }

/** Version, trace id, parent id, flags; later versions may append fields. */
const form =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-[\x21-\x2b\x2d-\x7e]*)?$/

/**
 * Parses `traceparent` (W3C Trace Context, levels 1 and 2); undefined if it is invalid. A repeated header arrives
 * joined with a comma, which is invalid in every version.
 *
 * The ids are logged as received. The service creates no span, because it reports to no collector.
 */
export const parseTraceparent = (traceparent: string | null): TraceContext | undefined => {
  if (traceparent === null || traceparent.length > traceparentMax) return undefined
  const [, version, traceId, parentId, more] = form.exec(traceparent) ?? []
  if (traceId === undefined || parentId === undefined) return undefined
  return version === '00' && more !== undefined ? undefined : { traceId, parentId }
}

/** Characters; version 00 has 55. */
const traceparentMax = 512
