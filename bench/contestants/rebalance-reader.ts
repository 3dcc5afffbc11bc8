/** A member of a group, with state and checkpoints in Kafka: tells how long each of its partitions was silent. */
import { aggregate, count, defineConfig, flow, json, kafka, recordKey, tap } from 'weirflow'
import { countingSink } from '../support/counting-sink.js'
import { sharedNow } from '../support/member.js'
import { runMember, tell } from '../support/run-member.js'

const { BROKERS = '', TOPIC = '', RUN = '' } = process.env
/** Shorter gaps are not worth telling of, ms. */
const leastMs = 5

const last = new Map<number, number>()
let gaps: { partition: number; from: number; to: number }[] = []

const config = defineConfig({
  app: `bench-${RUN}`,
  connections: { kafka: kafka({ brokers: BROKERS }) },
  flows: {
    counts: flow(
      kafka.source({ topic: TOPIC, group: RUN }),
      json(),
      tap((_, { origin: { partition } }) => {
        const to = sharedNow()
        const from = last.get(partition) ?? to
        if (to - from >= leastMs) gaps.push({ partition, from, to })
        last.set(partition, to)
      }),
      aggregate('counts', { by: recordKey, of: count(), emit: 'epoch' }),
      countingSink(() => undefined),
    ).with({ checkpoints: 'kafka' }),
  },
})

const engine = runMember(config, {})
setInterval(() => {
  const assigned = engine.status().flatMap(({ partitions }) => partitions.map(({ partition }) => partition))
  // What somebody else has is not silent.
  for (const partition of last.keys()) if (!assigned.includes(partition)) last.delete(partition)
  tell({ gaps, assigned })
  gaps = []
}, 100)
