/** The same by the flow that ships: schemas, an id once, and positions in the transaction of the rows. */
import { defineConfig, eventSchemas, kafka, postgres } from 'weirflow'
import { report } from '../support/report.js'
import { runFlow } from '../support/run-flow.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '', DATABASE = '' } = process.env
process.env['EVENTS_TOPIC'] = TOPIC
process.env['PIPELINE_GROUP_ID'] = `pipeline-${RUN}`
const { eventPipeline } = await import('../../src/flows/event-pipeline.js')
const total = Number(EVENTS)

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: {
    kafka: kafka({ brokers: BROKERS }),
    db: postgres({ url: DATABASE }),
    schemas: eventSchemas({ from: 'schemas' }),
  },
  checkpoints: 'db',
  flows: { 'event-pipeline': eventPipeline },
})

process.stdout.write('{"ready":true}\n')
const ms = await runFlow(config, total)
report({ recordsPerSecond: Math.round((total / ms) * 1_000) })
process.exit(0)
