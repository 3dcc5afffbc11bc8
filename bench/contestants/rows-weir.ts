/** The same rows as a flow: exactly once, its positions in the transaction of the rows. */
import { batch, defineConfig, flow, json, kafka, postgres } from 'weirflow'
import { report } from '../support/report.js'
import { runFlow } from '../support/run-flow.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '', DATABASE = '' } = process.env
const total = Number(EVENTS)
const table = `rows_weir_${RUN}`

interface Activity {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
}

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }), db: postgres({ url: DATABASE }) },
  checkpoints: 'db',
  flows: {
    rows: flow(
      kafka.source({ topic: TOPIC, group: table }),
      json<Activity>(),
      batch({ size: 5_000 }),
      postgres.sink({
        table,
        create: `create table if not exists ${table} (user_id text, activity_type text, timestamp timestamptz)`,
        row: ({ user_id, activity_type, timestamp }) => ({ user_id, activity_type, timestamp }),
      }),
    ),
  },
})

const ms = await runFlow(config, total)
report({ recordsPerSecond: Math.round((total / ms) * 1_000) })
process.exit(0)
