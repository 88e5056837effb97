type Sample = { name: string; labels: Record<string, string>; value: number }

/** The samples of the Prometheus text format, and each metric's type; throws at a line that is neither. */
export const parsed = (text: string) => {
  const samples: Sample[] = []
  const types = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, typed, type] = /^# TYPE (\S+) (\w+)$/.exec(line) ?? []
    if (typed !== undefined && type !== undefined) types.set(typed, type)
    if (line === '' || line.startsWith('# ')) continue
    const [, name, labels = '', value] =
      /^([a-z_]+)(?:\{(.*)\})? (-?[\d.]+(?:e[+-]?\d+)?)$/.exec(line) ?? []
    if (name === undefined) throw new Error(`not a sample: ${line}`)
    samples.push({ name, labels: labelsOf(labels), value: Number(value) })
  }
  return { samples, types }
}

const labelsOf = (text: string) =>
  Object.fromEntries(
    [...text.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  )

export const token = 'a-token-for-the-metrics'
export const withMetrics = { METRICS_TOKEN: token }

type Call = (
  method: string,
  path: string,
  sent: { token: string },
) => Promise<{ status: number; text: string }>

/** What a service says of itself now: a metric's value, zero where no series has these labels. */
export const scrape = async ({ call }: { call: Call }) => {
  // What a request counts, it counts after its answer.
  await new Promise(setImmediate)
  const { status, text } = await call('GET', '/metrics', { token })
  if (status !== 200) throw new Error(`no metrics: ${status} ${text}`)
  const { samples, types } = parsed(text)
  const value = (name: string, wanted: Record<string, string> = {}) =>
    samples
      .filter(
        (sample) =>
          sample.name === name &&
          Object.entries(wanted).every(([label, is]) => sample.labels[label] === is),
      )
      .reduce((sum, sample) => sum + sample.value, 0)
  return { text, samples, types, value }
}
