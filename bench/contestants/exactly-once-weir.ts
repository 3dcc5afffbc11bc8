/** The same counts as a flow: results, counts and positions in one transaction an epoch. */
import { aggregate, count, defineConfig, eventTime, flow, json, kafka, recordKey, tumbling } from 'weirflow'
import { report } from '../support/report.js'
import { runFlow } from '../support/run-flow.js'

const { BROKERS = '', TOPIC = '', RESULTS = '', EVENTS = '0', RUN = '' } = process.env
const total = Number(EVENTS)

interface Activity {
  readonly user_id: string
  readonly timestamp: string
}

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }) },
  flows: {
    counts: flow(
      kafka.source({ topic: TOPIC, group: `weir-${RUN}` }),
      json<Activity>(),
      eventTime((activity) => activity.timestamp, { outOfOrder: '5s', idleAfter: '1h' }),
      aggregate('counts', { by: recordKey, window: tumbling('10s'), of: count() }),
      kafka.sink({ topic: RESULTS }),
    ).with({ guarantee: 'exactly-once', checkpoints: 'kafka' }),
  },
})

const ms = await runFlow(config, total)
report({ recordsPerSecond: Math.round((total / ms) * 1_000) })
process.exit(0)
