import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { Distribution } from '../../src/model/index.js'
import { archiveSink } from '../../src/sinks/archive.js'
import { postgresSink } from '../../src/sinks/postgres.js'
import { webhookSink } from '../../src/sinks/webhook.js'
import { createMetrics } from '../../src/worker/metrics.js'
import { flowStatus } from '../support/flow-status.js'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}

const file = readFileSync(new URL('../../deploy/alerts.yaml', import.meta.url), 'utf8')
const { groups } = parse(file) as { groups: readonly { name: string; rules: readonly Rule[] }[] }
const rules = groups.flatMap(({ rules }) => rules)

/** What a worker tells of one flow, as lines. */
async function scraped(): Promise<string> {
  const status = flowStatus({
    flow: 'one',
    partitions: [{ topic: 'one', partition: 0, offset: 0, end: 1, streamTime: undefined }],
    metrics: [archiveSink, postgresSink, webhookSink].flatMap(({ name, metrics = [] }) =>
      metrics.map((metric) => ({
        stage: name,
        metric,
        labels: Object.fromEntries(Object.entries(metric.labels ?? {}).map(([label, [value = '']]) => [label, value])),
        value: metric.kind === 'histogram' ? new Distribution([1]) : 1,
      })),
    ),
  })
  const metrics = createMetrics(
    () => [status],
    () => 0,
  )
  const text = await metrics.scrape()
  metrics.close()
  return text
}

test.each(rules)('$alert asks for metrics and labels that there are', async ({ expr }) => {
  const text = await scraped()
  const asked = [...expr.matchAll(/\bweir_\w+/g)].map(([name]) => name)
  expect(asked.length).toBeGreaterThan(0)
  for (const name of asked) expect(text).toContain(`\n${name}{`)
  const by = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(', '))
  const matched = [...expr.matchAll(/[{,](\w+)(?:=~?|!=|!~)/g)].map(([, label = '']) => label)
  for (const label of [...by, ...matched]) expect(text).toMatch(new RegExp(`^${asked[0]}\\{[^}]*\\b${label}="`, 'm'))
})

test.each(rules)('$alert waits, and says what is wrong and what to do', (rule) => {
  expect(rule.for).toMatch(/^\d+[ms]$/)
  expect(rule.labels.severity).toMatch(/^(warning|critical)$/)
  expect(rule.annotations.summary).toMatch(/\{\{ \$labels\.flow \}\}.*\.$/)
  expect(rule.annotations.description).toMatch(/\.$/)
})
