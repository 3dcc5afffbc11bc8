/** The floor of rows: parses by hand, and copies as `copyByHand` does. */
import { copyByHand } from '../support/copy-by-hand.js'
import { report } from '../support/report.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '', DATABASE = '' } = process.env
const table = `rows_loop_${RUN}`

interface Activity {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
}

const recordsPerSecond = await copyByHand({
  brokers: BROKERS,
  topic: TOPIC,
  group: table,
  database: DATABASE,
  events: Number(EVENTS),
  into: table,
  positions: `${table}_positions`,
  create: `create table ${table} (user_id text, activity_type text, timestamp timestamptz)`,
  line(text) {
    const { user_id, activity_type, timestamp } = JSON.parse(text) as Activity
    return `${user_id}\t${activity_type}\t${timestamp}\n`
  },
})
report({ recordsPerSecond })
process.exit(0)
