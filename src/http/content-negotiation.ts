/** The offered media type that `Accept` prefers (RFC 9110 §12.5.1); the first if it accepts none or is absent. */
export const negotiate = <Type extends string>(
  accept: string | null,
  offered: readonly [Type, ...Type[]],
): Type => {
  const wanted = (accept ?? '*/*')
    .toLowerCase()
    .split(',')
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
      const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
      return { type, q: q === undefined ? 1 : Number(q) || 0 }
    })
    .filter(({ q }) => q > 0)
    .sort((a, b) => b.q - a.q)
  const fits = (range: string) =>
    offered.find(
      (type) => range === '*/*' || range === type || range === type.replace(/\/.*/, '/*'),
    )
  return wanted.map(({ type }) => fits(type)).find((type) => type !== undefined) ?? offered[0]
}
