/** The floor of the pipeline: parses by hand, and copies as `copyByHand` does. No schemas. */
import { copyByHand } from '../support/copy-by-hand.js'
import { report } from '../support/report.js'

const { BROKERS = '', TOPIC = '', EVENTS = '0', RUN = '', DATABASE = '' } = process.env
const columns = 'event_id, event_type, user_id, occurred_at, payload, topic, partition, kafka_offset'

interface Event {
  readonly eventId: string
  readonly eventType: string
  readonly userId: number
  readonly timestamp: string
}

const special = /[\\\n\r\t]/g
const escaped = (text: string) => text.replace(special, (found) => `\\${found}`)

const recordsPerSecond = await copyByHand({
  brokers: BROKERS,
  topic: TOPIC,
  group: `pipeline-${RUN}`,
  database: DATABASE,
  events: Number(EVENTS),
  into: `pipeline.events (${columns})`,
  positions: 'pipeline.positions',
  line(text, partition, offset) {
    const { eventId, eventType, userId, timestamp } = JSON.parse(text) as Event
    return `${escaped(eventId)}\t${escaped(eventType)}\t${userId}\t${timestamp}\t${escaped(text)}\t${TOPIC}\t${partition}\t${offset}\n`
  },
})
report({ recordsPerSecond })
process.exit(0)
