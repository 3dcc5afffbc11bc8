/** Throughput: JSON events from three partitions into rows of PostgreSQL, by hand and as a flow, in turn. */
import pg from 'pg'
import { loadTopic } from './support/load.js'
import { withKafka, withPostgres } from './support/servers.js'
import { compareThroughput } from './support/throughput.js'

const events = Number(process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)

await withKafka((brokers) =>
  withPostgres(async (database) => {
    const topic = `rows-${Date.now()}`
    console.log(`loading ${events} events …`)
    await loadTopic(brokers, topic, events, 10_000)
    const shared = { BROKERS: brokers, TOPIC: topic, EVENTS: String(events), DATABASE: database }
    const client = new pg.Client({ connectionString: database })
    await client.connect()
    await compareThroughput('rows', rounds, (run) => ({ ...shared, RUN: run }), {
      tidy: async () => {
        const { rows } = await client.query<{ name: string }>(
          "select tablename as name from pg_tables where tablename like 'rows\\_%'",
        )
        for (const { name } of rows) await client.query(`drop table ${name}`)
        await client.query('checkpoint')
      },
    })
    await client.end()
  }),
)
