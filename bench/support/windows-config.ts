import { aggregate, count, countDistinct, defineConfig, eventTime, flow, json, kafka, memory, tumbling } from 'weirflow'
import { countingSink } from './counting-sink.js'

const { BROKERS = '', TOPIC = '', RUN = '' } = process.env

interface Activity {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
}

/** What the windows that are out have in them, all together. */
export const results = { windows: 0, users: 0, views: 0 }

/** Windows of 10 s with page views and exact unique users. Every run is an app of its own, so that none reads another's topics. */
export const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }) },
  checkpoints: memory(),
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
        results.windows++
        results.users += value.users
        results.views += value.views
      }),
    ),
  },
})
