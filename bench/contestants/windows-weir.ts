/** The same windows as a flow. It has to have the results of all windows out that can be closed; the last stay open. */
import { aggregate, count, countDistinct, defineConfig, eventTime, flow, json, kafka, tumbling } from 'weirflow'
import { countingSink } from '../support/counting-sink.js'
import { report } from '../support/report.js'
import { runFlow } from '../support/run-flow.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', WINDOWS = '0', RUN = '' } = process.env
const total = Number(EVENTS)

interface Activity {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
}

let windows = 0
let users = 0
let views = 0

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }) },
  flows: {
    windows: flow(
      kafka.source({ topic: TOPIC, group: `weir-${RUN}` }),
      json<Activity>(),
      eventTime((activity) => activity.timestamp, { outOfOrder: '5s', idleAfter: '1h' }),
      aggregate('windows', {
        window: tumbling('10s'),
        of: {
          users: countDistinct((activity) => activity.user_id),
          views: count((activity) => activity.activity_type === 'page_view'),
        },
      }),
      countingSink(({ value }) => {
        windows++
        users += value.users
        views += value.views
      }),
    ),
  },
})

const ms = await runFlow(config, total, () => windows >= Number(WINDOWS))
report({ recordsPerSecond: Math.round((total / ms) * 1_000), windows, users, views })
process.exit(0)
