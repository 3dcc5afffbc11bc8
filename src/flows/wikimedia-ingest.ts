import { env, filter, flow, json, kafka, type SseEvent, sse } from 'weirflow'
import { Change, changesTopic } from './wikimedia.js'

/** An event names itself in `meta`. Its place in the stream does not: several events have one, and it differs by reader. */
const identity = ({ data }: SseEvent) => (data.includes('"meta":') ? data : undefined)

/**
 * Puts the changes of all Wikimedia sites on a topic, as they come, keyed by site.
 *
 *   WIKIPEDIA_STREAM_URL ──► wikipedia.changes
 *
 * Canary events, by which Wikimedia watches the stream itself, are left out; what is no JSON or names no site goes to the
 * dead letters. The place in the stream is committed with the changes, in one transaction of Kafka, so that a reader of
 * committed records sees each change once, whatever crashes or is sent again. Run one process of it.
 */
export const wikimediaIngest = flow(
  sse({
    url: env('WIKIPEDIA_STREAM_URL').default('https://stream.wikimedia.org/v2/stream/recentchange'),
    identity,
    // There are dozens of changes a second: a connection that is silent for so long is dead.
    idleTimeout: env('WIKIPEDIA_IDLE_SEC')
      .number()
      .default(15)
      .map((seconds) => seconds * 1_000),
  }),
  json(Change),
  filter(({ meta }) => meta.domain !== 'canary', { name: 'no-canaries' }),
  kafka.sink({
    topic: changesTopic,
    partitions: 3,
    key: ({ meta }) => meta.domain,
    value: (_change, { origin }) => origin.value,
  }),
).with({ checkpoints: 'kafka', guarantee: 'exactly-once' })
