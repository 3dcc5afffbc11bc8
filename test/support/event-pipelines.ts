import pg from 'pg'
import { onTestFinished } from 'vitest'
import { headerOf } from '../../src/index.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { freePort } from '../servers/server-support.js'
import { TopicTools } from '../servers/topic-tools.js'
import { type Servers, Worker } from './job.js'

interface Stored {
  readonly event_id: string
  readonly event_type: string
  readonly user_id: string | null
  readonly occurred_at: Date
  readonly payload: unknown
  readonly correlation_id: string | null
  readonly partition: number
  readonly kafka_offset: string
}

/** Of all servers: some share one of two. */
let systems = 0

/** Event pipelines on these servers, for tests. */
export function eventPipelines(servers: Servers) {
  /**
   * A pipeline with a topic and a database of its own; what is named in the environment goes first. It comes to the database by
   * that port.
   */
  async function pipeline(more: Readonly<Record<string, string>> = {}, port = servers.postgres.port) {
    const name = `pipeline_${systems++}`
    await servers.postgres.query(`CREATE DATABASE ${name}`)
    const url = `postgres://weir@127.0.0.1:${port}/${name}`
    const topic = more['EVENTS_TOPIC'] ?? name
    const settings = {
      KAFKA_BROKERS: servers.kafka.bootstrap,
      DATABASE_URL: url,
      WEIR_APP: name,
      EVENTS_TOPIC: topic,
      PIPELINE_GROUP_ID: name,
      ...more,
    }
    const session = async () => {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => undefined)
      await client.connect()
      return client
    }
    const query = async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> => {
      const client = await session()
      try {
        return (await client.query<R>(text, values)).rows
      } finally {
        await client.end()
      }
    }
    return {
      name,
      topic,
      query,
      session,
      start: async (...flows: string[]) => {
        const worker = new Worker({ ...settings, SERVER_PORT: String(await freePort()) }, flows)
        onTestFinished(() => worker.kill())
        worker.start()
        await worker.ready()
        return worker
      },
      rows: () => query<Stored>('SELECT * FROM pipeline.events ORDER BY partition, kafka_offset'),
      ids: async () => {
        const found = await query<{ event_id: string }>('SELECT event_id FROM pipeline.events').catch(() => [])
        return found.map(({ event_id }) => event_id)
      },
      letters: () => lettersOf(`${name}.event-pipeline.dead-letters`),
    }
  }

  /** What a dead letter says: where its record stood, and why it is here. */
  async function lettersOf(topic: string) {
    const reader = new LogReader({ 'metadata.broker.list': servers.kafka.bootstrap })
    await reader.connect()
    const log = { topic, partition: 0, offset: 0 }
    reader.assign([log])
    const letters: { at: string; text: string; why: string }[] = []
    await reader.read(
      ({ value, headers = [] }) => {
        const header = (name: string) => headerOf(headers, `__connect.errors.${name}`)
        letters.push({
          at: `${header('partition')}@${header('offset')}`,
          text: String(value),
          why: header('exception.message') ?? '',
        })
      },
      () => reader.hasEnded(log),
    )
    await reader.close()
    return letters
  }

  async function tools(): Promise<TopicTools> {
    const tools = await TopicTools.connect(servers.kafka.bootstrap)
    onTestFinished(() => tools.close())
    return tools
  }

  return { pipeline, tools }
}
