import { expect, test } from 'vitest'
import { aggregate, consoleSink, count, defineConfig, flow, generate, http, kafka, merge } from 'weirflow'
import { shareOf } from '../../src/cli/share.js'
import { compile } from '../../src/engine/index.js'

const orders = kafka.source({ topic: 'orders' })
const ticks = generate({ rate: 1, value: () => 1 })
const visits = http.post('/visits', {
  body: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } },
})
const topology = compile(
  defineConfig({
    app: 'shop',
    connections: { events: kafka({ brokers: 'broker:9092' }) },
    flows: {
      orders: flow(orders, consoleSink()),
      visits: flow(visits, consoleSink()),
      ticks: flow(ticks, consoleSink()),
      'ticks-and-orders': flow(merge(orders, ticks), consoleSink()),
      'all-of-them': flow(merge(orders, visits), aggregate('all', { of: { n: count() } }), consoleSink()),
    },
  }),
  { environment: {} },
)
const flowsOf = (worker: number | undefined) => shareOf(topology, worker).flows.map(({ name }) => name)

test('the only worker, and the first of several, run every flow', () => {
  expect(flowsOf(undefined)).toEqual(['orders', 'visits', 'ticks', 'ticks-and-orders', 'all-of-them'])
  expect(flowsOf(1)).toEqual(flowsOf(undefined))
})

test('the others run what a group shares out, and what comes over the port', () => {
  expect(flowsOf(2)).toEqual(['orders', 'visits'])
})
