import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SeismicEvent } from '../../src/flows/seismic.js'
import { earthquakes } from '../../src/flows/seismic-sensors.js'
import { until, Worker } from '../support/job.js'
import { because } from '../support/job-servers.js'
import { expectedTables, progressOf, shocks, storedTables } from '../support/seismic.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { connect, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'
import { requireApicurio, SchemaRegistryServer } from './schema-registry.js'
import { freePort } from './server-support.js'

const missing = requireKafka() ?? missingMariadb() ?? requireApicurio()
const recorded = new URL('../../../shared/data/usgs/all_week-2023-04-07.geojson.gz', import.meta.url)
const limit = 900
const rate = 100
const keep = 20

describe.skipIf(missing !== undefined)(`the seismic system${because(missing)}`, () => {
  let kafka: KafkaCluster
  let server: MariadbServer
  let registry: SchemaRegistryServer
  const workers: Worker[] = []

  beforeAll(async () => {
    ;[kafka, server, registry] = await Promise.all([
      KafkaCluster.start({ brokers: 3 }),
      MariadbServer.start(),
      SchemaRegistryServer.start(),
    ])
  })
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.kill()))
    for (const table of ['seismic_events', 'seismic_sensors']) await server.query(`drop table if exists ${table}`)
  })
  afterAll(() => Promise.all([kafka?.close(), server?.close(), registry?.close()]))

  async function start(environment: Readonly<Record<string, string>>, ...flows: string[]): Promise<Worker> {
    const all = {
      KAFKA_BROKERS: kafka.bootstrap,
      MYSQL_URL: server.url,
      SEISMIC_KEEP: String(keep),
      SERVER_PORT: String(await freePort()),
      ...environment,
    }
    const worker = new Worker(all, flows)
    worker.start()
    workers.push(worker)
    return worker
  }

  const reached = (shocks: number) =>
    until(async () => (await progressOf(server)).stored >= shocks, `${shocks} shocks are stored`, 120_000)
  const gathered = (shocks: number) =>
    until(async () => (await progressOf(server)).gathered >= shocks, `${shocks} shocks are gathered`, 120_000)

  test('every shock counts once, though its producer is killed twice, and a replica that gathers them', async () => {
    const environment = {
      SCHEMA_REGISTRY_URL: registry.url,
      SEISMIC_LIMIT: String(limit),
      SEISMIC_RATE: String(rate),
    }
    const [producer, replica] = await Promise.all([
      start(environment, 'seismic-producer'),
      start(environment, 'seismic-aggregate'),
      start(environment, 'seismic-aggregate'),
      start(environment, 'seismic-aggregate'),
      start(environment, 'seismic-persist'),
    ])
    await reached(limit / 6)
    await producer.kill()
    producer.start()
    await gathered(limit / 6)
    await replica.kill()
    await reached(limit / 2)
    await producer.kill()
    producer.start()
    replica.start()
    await reached(limit)
    await gathered(limit)

    expect(await storedTables(server)).toEqual(expectedTables(shocks(limit, rate), keep))
    expect(await registry.schemas('seismic-events-value')).toHaveLength(1)
    expect(await registry.schemas('seismic-events-aggregated-value')).toHaveLength(1)
  })

  test.skipIf(!existsSync(recorded))(
    'a recorded catalogue is gathered exactly, though a replica is killed',
    async () => {
      const catalogue = earthquakes(JSON.parse(gunzipSync(readFileSync(recorded)).toString())).reverse()
      const environment = {
        SEISMIC_TOPIC: 'catalogue',
        SEISMIC_AGGREGATED_TOPIC: 'catalogue-aggregated',
        SEISMIC_GROUP_ID: 'catalogue',
      }
      const [replica] = await Promise.all([
        start(environment, 'seismic-aggregate'),
        start(environment, 'seismic-aggregate', 'seismic-persist'),
      ])
      const connection = connect(kafka.bootstrap)
      const sink = sinkOf(connection, { topic: 'catalogue', partitions: 3 })
      await openSink(sink)
      const half = Math.floor(catalogue.length / 2)
      const send = (events: readonly SeismicEvent[]) =>
        writeAll(
          sink,
          events.map((event) => recordOf(event, event.sensorid)),
        )
      await send(catalogue.slice(0, half))
      await gathered(half / 2)
      await replica.kill()
      await send(catalogue.slice(half))
      await connection.close()
      await reached(catalogue.length)
      await gathered(catalogue.length)
      expect(await storedTables(server)).toEqual(expectedTables(catalogue, keep))
    },
  )
})
