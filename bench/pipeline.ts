/**
 * The event pipeline: a million events of 250 bytes into `pipeline.events` with its indexes, by the flow that ships, by a loop
 * in Node and by one in Java, in turn; then how long after an event was produced its row is there to be seen, at 10,000
 * events/s for a minute; and how many bytes a row takes.
 */
import pg from 'pg'
import { plainTable } from '../src/flows/event-pipeline.js'
import { startContestant } from './support/contest.js'
import { createTopic, loadPipelineEvents } from './support/load.js'
import { writePipelineEvents } from './support/pipeline-events.js'
import { withKafka, withPostgres } from './support/servers.js'
import { compareThroughput } from './support/throughput.js'

const events = Number(process.env['EVENTS'] ?? 1_000_000)
const rounds = Number(process.env['ROUNDS'] ?? 5)
const seconds = Number(process.env['SECONDS'] ?? 60)
const perSecond = Number(process.env['PER_SECOND'] ?? 10_000)
/** So long the flow gets events before it counts. */
const warmUpSeconds = 10

await withKafka((brokers) =>
  withPostgres(
    async (database) => {
      const client = new pg.Client({ connectionString: database })
      await client.connect()
      const newTable = async () => {
        await client.query(`drop schema if exists pipeline cascade; ${plainTable}`)
        await client.query('checkpoint')
      }
      if (rounds > 0) await throughput(brokers, database, client, newTable)
      await newTable()
      await latency(brokers, database, client)
      await client.end()
    },
    { settings: ['track_commit_timestamp=on'] },
  ),
)

async function throughput(brokers: string, database: string, client: pg.Client, tidy: () => Promise<void>) {
  const topic = `pipeline-${Date.now()}`
  console.log(`loading ${events} events …`)
  await loadPipelineEvents(brokers, topic, events, perSecond)
  const shared = { BROKERS: brokers, TOPIC: topic, EVENTS: String(events), DATABASE: database }
  await compareThroughput('pipeline', rounds, (run) => ({ ...shared, RUN: run }), {
    against: { loop: 1.3, java: 1.3 },
    tidy,
    verify: async (name) => {
      const [found] = await rowsOf<{ rows: string; ids: string; bytes: string }>(
        client,
        `select count(*) as rows, count(distinct event_id) as ids, pg_total_relation_size('pipeline.events') as bytes
         from pipeline.events`,
      )
      if (Number(found?.rows) !== events || Number(found?.ids) !== events)
        throw new Error(`${name} made ${found?.rows} rows, with ${found?.ids} ids, of ${events} events`)
      const bytes = Math.round(Number(found?.bytes) / events)
      console.log(`  ${bytes} bytes a row with its indexes, ${Math.round((bytes * 1e6) / 2 ** 20)} MiB a million`)
    },
  })
}

/** When a transaction was committed, PostgreSQL says; when it began is the `created_at` of its rows. */
async function latency(brokers: string, database: string, client: pg.Client) {
  const topic = `pipeline-latency-${Date.now()}`
  await createTopic(brokers, topic)
  const shared = { BROKERS: brokers, TOPIC: topic, EVENTS: 'Infinity', DATABASE: database }
  const flow = startContestant('pipeline-weir', { ...shared, RUN: String(Date.now()) })
  try {
    await new Promise((resolve) => flow.stdout.once('data', resolve))
    const total = (warmUpSeconds + seconds) * perSecond
    await writePipelineEvents(brokers, topic, perSecond, total)
    for (let rows = 0; rows < total; )
      rows = Number((await rowsOf<{ rows: string }>(client, 'select count(*) as rows from pipeline.events'))[0]?.rows)
    const measured = `
      select extract(epoch from pg_xact_commit_timestamp(xmin) - occurred_at) * 1000 as all_ms,
             extract(epoch from pg_xact_commit_timestamp(xmin) - created_at) * 1000 as commit_ms
      from pipeline.events where event_id >= 'event-${String(warmUpSeconds * perSecond).padStart(10, '0')}'`
    const [found] = await rowsOf<Record<string, number>>(
      client,
      `select count(*)::int as rows, max(all_ms)::float as longest,
              percentile_cont(0.5) within group (order by all_ms)::float as p50,
              percentile_cont(0.99) within group (order by all_ms)::float as p99,
              percentile_cont(0.5) within group (order by commit_ms)::float as commit50,
              percentile_cont(0.99) within group (order by commit_ms)::float as commit99
       from (${measured}) as measured`,
    )
    const ms = (name: string) => `${(found?.[name] ?? Number.NaN).toFixed(1)} ms`
    console.log(
      `pipeline, ${perSecond} events/s for ${seconds} s, produced to visible: p50 ${ms('p50')}, p99 ${ms('p99')} (less than 50 is wanted), longest ${ms('longest')}, of ${found?.['rows']} rows`,
    )
    console.log(`  of it the transaction of rows and positions: p50 ${ms('commit50')}, p99 ${ms('commit99')}`)
  } finally {
    flow.kill('SIGKILL')
  }
}

async function rowsOf<R extends pg.QueryResultRow>(client: pg.Client, text: string): Promise<R[]> {
  return (await client.query<R>(text)).rows
}
