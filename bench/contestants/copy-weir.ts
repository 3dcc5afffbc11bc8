/** The same copy as a flow. */
import { defineConfig, flow, kafka } from 'weirflow'
import { runFlow } from '../support/run-flow.js'

const { BROKERS = '', TOPIC = '', OUTPUT = '', RUN = '' } = process.env

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }) },
  flows: { copy: flow(kafka.source({ topic: TOPIC, group: `copy-weir-${RUN}` }), kafka.sink({ topic: OUTPUT })) },
})

process.stdout.write('{"ready":true}\n')
await runFlow(config, Number.POSITIVE_INFINITY)
