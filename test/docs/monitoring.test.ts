import { beforeAll, describe, expect, test } from 'bun:test'
import { parser } from '@prometheus-io/lezer-promql'
import { YAML } from 'bun'
import { scrape, withMetrics } from '../support/scrape.ts'
import { service } from '../support/service.ts'

/*
 * The alert rules and the dashboard use metrics and labels that `/metrics` has. With a renamed or misspelt metric an
 * alert would never fire.
 */

type Rule = {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string; description: string; runbook_url: string }
}
type Panel = { title: string; type: string; targets?: { expr: string; legendFormat: string }[] }
type Variable = { name: string; definition?: string }

const rules = (
  YAML.parse(await Bun.file('deploy/alerts.yml').text()) as {
    groups: { rules: Rule[] }[]
  }
).groups.flatMap((group) => group.rules)
const dashboard: { uid: string; panels: Panel[]; templating: { list: Variable[] } } =
  await Bun.file('deploy/grafana-dashboard.json').json()
const targets = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({ title, legendFormat, expr: filledIn(expr) })),
)
const runbook = await Bun.file('docs/alerts.md').text()

/** The labels of each metric with their values in all scrapes. */
const exported = new Map<string, Map<string, Set<string>>>()
/** Labels that Prometheus adds. */
const fromPrometheus = ['job', 'instance']

beforeAll(async () => {
  const here = await service({ ...withMetrics, RATE_LIMIT: '3' })
  const ada = await here.someone()
  for (const path of ['', '', '', '/x', '/export']) await ada.call('GET', `/api/tasks${path}`)
  await here.call('GET', '/nowhere')
  const broken = await service(withMetrics, {
    db: () => {
      throw new Error('a bug')
    },
  })
  await broken.call('GET', '/api/tasks', { token: ada.token })
  const away = await service(withMetrics, { isReady: async () => false })
  await away.call('GET', '/ready')
  for (const each of [here, broken, away])
    for (const { name, labels } of (await scrape(each)).samples) {
      const known = exported.get(name) ?? new Map<string, Set<string>>()
      for (const [label, value] of Object.entries(labels))
        known.set(label, (known.get(label) ?? new Set()).add(value))
      exported.set(name, known)
    }
  exported.set('up', new Map())
})

/** Variables that Grafana substitutes. */
function filledIn(expr: string) {
  return expr
    .replaceAll('$__rate_interval', '5m')
    .replaceAll('$job', 'x')
    .replaceAll('$instance', 'x')
}

type Matcher = { label: string; op: string; value: string }
type Selector = { metric: string; matchers: Matcher[] }

/** The selectors and groupings of a PromQL expression; throws if it does not parse. */
const readExpr = (expr: string) => {
  const selectors: Selector[] = []
  const groupings: string[] = []
  let inGrouping = false
  let [label, op] = ['', '']
  parser.parse(expr).iterate({
    enter: ({ type, from, to }) => {
      const text = expr.slice(from, to)
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expr}`)
      if (type.name === 'VectorSelector') selectors.push({ metric: '', matchers: [] })
      if (type.name === 'GroupingLabels') inGrouping = true
      const selector = selectors.at(-1)
      if (type.name === 'Identifier' && selector) selector.metric = text
      if (type.name === 'LabelName' && inGrouping) groupings.push(text)
      else if (type.name === 'LabelName') label = text
      if (type.name === 'MatchOp') op = text
      if (type.name === 'StringLiteral')
        selector?.matchers.push({ label, op, value: text.slice(1, -1) })
    },
    leave: ({ type }) => {
      if (type.name === 'GroupingLabels') inGrouping = false
    },
  })
  return { selectors, groupings }
}

/** The parts of an expression that no scrape has. */
const unknownTo = (expr: string, shown: string[] = []): string[] => {
  const { selectors, groupings } = readExpr(expr)
  const labelsOf = ({ metric }: Selector) => [
    ...(exported.get(metric)?.keys() ?? []),
    ...fromPrometheus,
  ]
  const wrong = selectors.flatMap((selector) => {
    const labels = exported.get(selector.metric)
    if (labels === undefined) return [selector.metric]
    return selector.matchers.flatMap(({ label, op, value }) => {
      if (fromPrometheus.includes(label)) return []
      const values = [...(labels.get(label) ?? [])]
      const pattern = new RegExp(`^(?:${op.includes('~') ? value : RegExp.escape(value)})$`)
      return values.some((one) => pattern.test(one))
        ? []
        : [`${selector.metric}{${label}${op}${value}}`]
    })
  })
  const known = selectors.flatMap(labelsOf)
  return [...wrong, ...[...groupings, ...shown].filter((label) => !known.includes(label))]
}

describe('the alerts', () => {
  test.each(rules)('$alert uses existing metrics and labels', ({ expr, annotations }) => {
    const { selectors, groupings } = readExpr(expr)
    const shown = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(
      ([, at]) => at ?? '',
    )

    expect(selectors.length).toBeGreaterThan(0)
    expect(unknownTo(expr, shown)).toEqual([])
    // An aggregation drops labels.
    if (groupings.length > 0)
      expect(shown.filter((label) => !groupings.includes(label))).toEqual([])
  })

  test.each(rules)('$alert has a summary, a severity and a runbook link', (rule) => {
    const { alert, annotations, labels } = rule

    expect(alert).toMatch(/^Taskwarden[A-Z]\w+$/)
    expect(labels.severity).toMatch(/^(critical|warning)$/)
    expect(annotations.summary.length).toBeGreaterThan(10)
    expect(annotations.description.length).toBeGreaterThan(20)
    expect(annotations.runbook_url).toBe(`docs/alerts.md#${alert.toLowerCase()}`)
    const [, section = ''] = runbook.split(`\n## ${alert}\n`)
    expect(section.split('\n## ')[0]).toMatch(/\n- \*\*Look first\*\*[\s\S]+\n- \*\*Do\*\*/)
  })

  test('each alert has a section in the runbook, which has no other', () => {
    const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, title]) => title)

    expect(rules.length).toBeGreaterThan(10)
    expect(sections).toEqual(rules.map(({ alert }) => alert))
    expect(new Set(sections).size).toBe(sections.length)
  })

  test('the runbook names existing settings, panels, kinds and alerts', async () => {
    const settings = await Bun.file('.env.example').text()
    const titles = dashboard.panels.map(({ title }) => title.toLowerCase())

    for (const [, name = ''] of runbook.matchAll(/`([A-Z][A-Z_]{4,})[=`]/g))
      expect(settings).toMatch(new RegExp(`^${name}=`, 'm'))
    for (const [, name = ''] of runbook.matchAll(/\*(Taskwarden\w+)\*/g))
      expect(rules.map(({ alert }) => alert)).toContain(name)
    for (const [, title = ''] of runbook.matchAll(/(?<!\*)\*([^*]+)\*(?!\*)/g))
      if (!title.startsWith('Taskwarden'))
        expect(titles, title).toContain(title.replace(/\s+/g, ' ').toLowerCase())
    const kinds = [...runbook.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, kind]) => kind ?? '')
    const counted = exported.get('taskwarden_database_unavailable_total')?.get('kind')
    expect(kinds.sort()).toEqual([...(counted ?? [])].sort())
  })

  test.skipIf(Bun.which('promtool') === null)('each fires, and none without need', async () => {
    const promtool = Bun.spawn(['promtool', 'test', 'rules', 'deploy/alerts.test.yml'], {
      stdout: 'pipe',
      stderr: 'pipe',
    })

    expect([await promtool.exited, await promtool.stderr.text()]).toEqual([0, ''])
  })

  test('each alert fires in the test of the rules', async () => {
    const { tests } = YAML.parse(await Bun.file('deploy/alerts.test.yml').text()) as {
      tests: { promql_expr_test: { exp_samples: { labels: string }[] }[] }[]
    }

    const fired = tests.flatMap(({ promql_expr_test: [checked] }) => checked?.exp_samples ?? [])
    expect(fired.map(({ labels }) => labels)).toEqual(
      rules.map(({ alert }) => `{alertname="${alert}"}`),
    )
  })
})

describe('the dashboard', () => {
  test('uses existing metrics and labels in every panel', () => {
    expect(targets.length).toBeGreaterThan(25)
    for (const { title, expr, legendFormat } of targets) {
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label ?? '')
      const { groupings } = readExpr(expr)
      expect(unknownTo(expr, shown), title).toEqual([])
      if (groupings.length > 0)
        expect(
          shown.filter((label) => !groupings.includes(label)),
          title,
        ).toEqual([])
    }
  })

  test('shows every metric', () => {
    const asked = new Set(
      targets.flatMap(({ expr }) => readExpr(expr).selectors.map(({ metric }) => metric)),
    )
    const shown = [...exported.keys()].filter(
      (name) => name !== 'up' && !/_(sum|count)$/.test(name),
    )

    expect(shown.filter((name) => !asked.has(name))).toEqual([])
  })

  test('can be imported: unique panels without overlap, existing variables', async () => {
    const { panels, templating } = (await Bun.file('deploy/grafana-dashboard.json').json()) as {
      panels: {
        id: number
        title: string
        gridPos: { x: number; y: number; w: number; h: number }
      }[]
      templating: { list: Variable[] }
    }
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)}:${y + Math.floor(at / w)}`),
    )
    const names = templating.list.map(({ name }) => name)
    const used = [...JSON.stringify(panels).matchAll(/\$\{?([a-z]\w+)/g)].map(
      ([, name]) => name ?? '',
    )

    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    expect(new Set(cells).size).toBe(cells.length)
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true)
    expect([...new Set(used)].sort()).toEqual([...names].sort())
    for (const { definition = '' } of templating.list)
      for (const [, metric = ''] of definition.matchAll(/label_values\((\w+)/g))
        expect([...exported.keys()]).toContain(metric)
  })
})
