/** Runs something against a real Kafka broker: the one that BROKERS names, or one that is started for it. */
export async function withKafka(work: (brokers: string) => Promise<void>): Promise<void> {
  const given = process.env['BROKERS']
  if (given !== undefined) return work(given)
  const { KafkaCluster } = await import('../../test/servers/kafka-broker.js')
  const cluster = await KafkaCluster.start({ brokers: 1, optimized: true })
  try {
    await work(cluster.bootstrap)
  } finally {
    await cluster.close()
  }
}

/** The same for a PostgreSQL server, which DATABASE may name. */
export async function withPostgres(work: (url: string) => Promise<void>): Promise<void> {
  const given = process.env['DATABASE']
  if (given !== undefined) return work(given)
  const { PostgresServer } = await import('../../test/servers/postgres-server.js')
  const server = await PostgresServer.start()
  try {
    await work(server.url)
  } finally {
    await server.close()
  }
}
