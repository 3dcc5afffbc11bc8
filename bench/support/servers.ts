import type { PostgresServerOptions } from '../../test/servers/postgres-server.js'

/**
 * Runs something against a real Kafka broker: the one that BROKERS names, or one that is started for it. An `optimized`
 * one answers sooner, once it is warm; until then its compiler takes the cores away from those who are measured.
 */
export async function withKafka(work: (brokers: string) => Promise<void>, { optimized = false } = {}): Promise<void> {
  const given = process.env['BROKERS']
  if (given !== undefined) return work(given)
  const { KafkaCluster } = await import('../../test/servers/kafka-broker.js')
  const cluster = await KafkaCluster.start({ brokers: 1, optimized })
  try {
    await work(cluster.bootstrap)
  } finally {
    await cluster.close()
  }
}

/** The same for a PostgreSQL server, which DATABASE may name. */
export async function withPostgres(
  work: (url: string) => Promise<void>,
  options: PostgresServerOptions = {},
): Promise<void> {
  const given = process.env['DATABASE']
  if (given !== undefined) return work(given)
  const { PostgresServer } = await import('../../test/servers/postgres-server.js')
  const server = await PostgresServer.start(options)
  try {
    await work(server.url)
  } finally {
    await server.close()
  }
}
