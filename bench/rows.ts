/** Throughput: JSON events from three partitions into rows of PostgreSQL, by hand and as a flow, in turn. */
import { loadTopic } from './support/load.js'
import { withKafka, withPostgres } from './support/servers.js'
import { compareThroughput } from './support/throughput.js'

const events = Number(process.env['EVENTS'] ?? 500_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)

await withKafka((brokers) =>
  withPostgres(async (database) => {
    const topic = `rows-${Date.now()}`
    console.log(`loading ${events} events …`)
    await loadTopic(brokers, topic, events, 10_000)
    const shared = { BROKERS: brokers, TOPIC: topic, EVENTS: String(events), DATABASE: database }
    await compareThroughput('rows', rounds, (run) => ({ ...shared, RUN: run }))
  }),
)
