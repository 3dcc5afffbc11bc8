/**
 * Throughput: JSON events of about 200 bytes from three partitions into windows of 10 s with page views and exact unique
 * users; hand-written loops over two clients and a Weir flow in turn, each in a fresh process.
 */
import { loadTopic } from './support/load.js'
import { withKafka } from './support/servers.js'
import { compareThroughput } from './support/throughput.js'

const events = Number(process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)
const perSecond = 10_000
/** Those that end 5 s (the out-of-orderness) and the disorder of the events before the last, and one that began before. */
const closed = Math.max(0, Math.floor((events / perSecond - 6) / 10) + 1)

await withKafka(async (brokers) => {
  const topic = `windows-${Date.now()}`
  console.log(`loading ${events} events …`)
  await loadTopic(brokers, topic, events, perSecond)
  const environment = (run: string) => ({
    BROKERS: brokers,
    TOPIC: topic,
    EVENTS: String(events),
    WINDOWS: String(closed),
    RUN: run,
  })
  await compareThroughput('windows', rounds, environment, { against: { loop: 2, kafkajs: 1.3 } })
})
