import type { Row } from './report.ts'

const colours: Record<string, string> = {
  taskwarden: '#0969da',
  bare: '#8c959f',
  hono: '#e36209',
  fastify: '#57606a',
  fastapi: '#1a7f64',
  pgbench: '#c9d1d9',
}

const barHeight = 16
const left = 96
const width = 760
const scaleWidth = 520

const escaped = (text: string) => text.replace(/[&<]/g, (mark) => (mark === '&' ? '&amp;' : '&lt;'))

const text = (x: number, y: number, content: string, more = '') =>
  `<text x="${x}" y="${y}" ${more}>${escaped(content)}</text>`

/** Bars of requests per second, with a line from minimum to maximum, grouped by workload. */
export const chartOf = (rows: Row[], workloads: string[], connections: number, note: string) => {
  const parts: string[] = []
  let y = 52
  for (const workload of workloads) {
    const group = rows.filter((row) => row.workload === workload && row.connections === connections)
    const most = Math.max(...group.map(({ requestsPerSecond: rate }) => rate?.greatest ?? 0))
    const x = (rate: number) => left + (rate / most) * scaleWidth
    parts.push(text(8, y, workload, 'class="title"'))
    y += 8
    for (const { system, requestsPerSecond: rate } of group) {
      if (rate === null) continue
      const middle = y + barHeight / 2
      const fill = colours[system] ?? '#8250df'
      const range = `M${x(rate.least).toFixed(1)} ${middle}H${x(rate.greatest).toFixed(1)}`
      const bar = `<rect x="${left}" y="${y + 2}" height="${barHeight - 4}" width="${(x(rate.median) - left).toFixed(1)}" fill="${fill}" rx="2"/>`
      parts.push(
        text(left - 6, middle + 4, system, 'text-anchor="end"'),
        bar,
        `<path d="${range}" stroke="#cf222e" stroke-width="1.5"/>`,
        text(x(rate.greatest) + 6, middle + 4, Math.round(rate.median).toLocaleString('en')),
      )
      y += barHeight
    }
    y += 26
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="Requests a second">
<style>text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:13px}.note{fill:#57606a}</style>
<rect width="100%" height="100%" fill="#fff"/>
${text(8, 18, `Requests a second, ${connections} connections`, 'class="title"')}
${text(8, 34, note, 'class="note"')}
${parts.join('\n')}
</svg>
`
}
