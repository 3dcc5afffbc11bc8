/** One of the processes that share the windows of a topic. */
import { aggregate, count, countDistinct, defineConfig, eventTime, flow, json, kafka, tumbling } from 'weirflow'
import { countingSink } from '../support/counting-sink.js'
import { sharedNow } from '../support/member.js'
import { runMember, tell } from '../support/run-member.js'

const { BROKERS = '', TOPIC = '', RUN = '' } = process.env

interface Activity {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
}

const results = { windows: 0, users: 0, views: 0 }
let events = 0
let told = 0

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }) },
  flows: {
    windows: flow(
      kafka.source({ topic: TOPIC, group: RUN }),
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

const engine = runMember(config, {
  epoch({ flow: name, part, records }) {
    const read = part === name ? records : 0
    // What an internal topic carries besides is no progress: records of the source and results are.
    if (read === 0 && results.windows === told) return
    events += read
    told = results.windows
    tell({ events, results, committedAt: sharedNow() })
  },
})

setInterval(() => {
  const assigned = engine.status().flatMap(({ partitions }) => partitions.filter(({ topic }) => topic === TOPIC))
  tell({ assigned: assigned.length })
}, 100)

/** Both timers are needed: this one has to be exact, and ends with the first record. */
const looking = setInterval(() => {
  if (!engine.status().some(({ stages }) => stages.some((stage) => stage.out > 0))) return
  clearInterval(looking)
  tell({ beganAt: sharedNow() })
}, 1)
