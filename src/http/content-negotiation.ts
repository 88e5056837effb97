import Negotiator from 'negotiator'

/** The offered media type that `Accept` prefers (RFC 9110 §12.5.1); the first if it accepts none or is absent. */
export const negotiate = <Type extends string>(
  accept: string | null,
  offered: readonly [Type, ...Type[]],
): Type => {
  // All texts are UTF-8. The library takes `text/csv; charset=utf-8` for another type than `text/csv`.
  const ranges = accept?.replaceAll(/;\s*charset=[^;,]*/gi, '')
  const negotiator = new Negotiator({ headers: { accept: ranges } })
  const preferred = negotiator.mediaType([...offered])
  return offered.find((type) => type === preferred) ?? offered[0]
}
