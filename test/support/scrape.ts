type Sample = { name: string; labels: Record<string, string>; value: number }

/** Parses the Prometheus text format into samples and types of metrics; throws for any other line. */
export const parseMetrics = (text: string) => {
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

/** Reads the metrics of a service. `value` is the sum of the series with these labels, zero without one. */
export const scrape = async ({ call }: { call: Call }) => {
  // A request is counted after its response.
  await new Promise(setImmediate)
  const { status, text } = await call('GET', '/metrics', { token })
  if (status !== 200) throw new Error(`no metrics: ${status} ${text}`)
  const { samples, types } = parseMetrics(text)
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
