/** Where a request stands in a trace that its caller has begun. */
export type TraceContext = { traceId: string; parentId: string }

/** Version, trace id, parent id, flags; of later versions, also what they may append. */
const form =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-[\x21-\x2b\x2d-\x7e]*)?$/

/**
 * What `traceparent` says (W3C Trace Context, levels 1 and 2), or nothing where it is not
 * of its form: the request then stands alone. A header that came twice arrives joined
 * with a comma, which no version has.
 *
 * The caller's ids go into the log as they are. No span of our own is made: there is
 * nobody that it would be reported to.
 */
export const parseTraceparent = (traceparent: string | null): TraceContext | undefined => {
  if (traceparent === null || traceparent.length > traceparentMax) return undefined
  const [, version, traceId, parentId, more] = form.exec(traceparent) ?? []
  if (traceId === undefined || parentId === undefined) return undefined
  return version === '00' && more !== undefined ? undefined : { traceId, parentId }
}

/** Characters; version 00 has 55. */
const traceparentMax = 512
