import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SeismicEvent } from '../../src/flows/seismic.js'
import { until, Worker } from '../support/job.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { MariadbServer, missingMariadb } from './mariadb-server.js'
import { SchemaRegistryServer } from './schema-registry.js'
import { freePort } from './server-support.js'

const missing = requireKafka() ?? missingMariadb()
const because = missing === undefined ? '' : ` (${missing})`
const limit = 600
const keep = 20

/** The simulator numbers its shocks. */
const index = ({ eventid }: { readonly eventid: string }) => Number(eventid.split('-')[1])

interface SensorRow {
  readonly sensorid: string
  readonly total: number
  readonly last_event_time: Date
  readonly max_magnitude: number
  readonly events: readonly SeismicEvent[]
}

describe.skipIf(missing !== undefined)(`the seismic system${because}`, { timeout: 120_000 }, () => {
  let kafka: KafkaCluster
  let database: MariadbServer
  let registry: SchemaRegistryServer
  const workers: Worker[] = []

  beforeAll(async () => {
    ;[kafka, database, registry] = await Promise.all([
      KafkaCluster.start(),
      MariadbServer.start(),
      SchemaRegistryServer.start(),
    ])
  }, 120_000)
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.kill()))
    await Promise.all([kafka?.close(), database?.close(), registry?.close()])
  })

  async function start(...flows: string[]): Promise<Worker> {
    const environment = {
      KAFKA_BROKERS: kafka.bootstrap,
      MYSQL_URL: database.url,
      SCHEMA_REGISTRY_URL: registry.url,
      SEISMIC_LIMIT: String(limit),
      SEISMIC_RATE: '200',
      SEISMIC_KEEP: String(keep),
      WEIR_CHECKPOINTS: 'mysql',
      SERVER_PORT: String(await freePort()),
    }
    const worker = new Worker(environment, flows)
    worker.start()
    workers.push(worker)
    return worker
  }

  test('every shock becomes a row, and every sensor the list of its shocks, though a replica is killed', async () => {
    const [first] = await Promise.all([
      start('seismic-aggregate'),
      start('seismic-aggregate'),
      start('seismic-producer', 'seismic-persist'),
    ])
    const rows = async () =>
      (await database.query<{ n: number }>('select count(*) as n from seismic_events').catch(() => [{ n: 0 }]))[0]?.n ??
      0
    await until(async () => (await rows()) > limit / 4, 'a quarter of the shocks is stored', 60_000)
    await first.kill()
    await until(async () => (await rows()) === limit, 'all shocks are stored', 60_000)
    const totals = async () =>
      (await database.query<{ n: string | null }>('select sum(total) as n from seismic_sensors'))[0]?.n
    await until(async () => Number(await totals()) === limit, 'all shocks are gathered', 60_000)

    const events = await database.query<SeismicEvent & { time: Date }>('select * from seismic_events')
    const sensors = await database.query<SensorRow>('select * from seismic_sensors')
    expect(new Set(events.map(({ sensorid }) => sensorid))).toEqual(new Set(sensors.map(({ sensorid }) => sensorid)))
    for (const sensor of sensors) {
      const own = events.filter(({ sensorid }) => sensorid === sensor.sensorid).sort((a, b) => index(a) - index(b))
      const kept = own.slice(-keep)
      expect(sensor.events.map(({ eventid }) => eventid)).toEqual(kept.map(({ eventid }) => eventid))
      expect({ ...sensor, events: kept.length, total: Number(sensor.total) }).toEqual({
        sensorid: sensor.sensorid,
        total: own.length,
        last_event_time: kept.at(-1)?.time,
        max_magnitude: Math.max(...kept.map(({ magnitude }) => magnitude)),
        events: kept.length,
      })
    }
    expect(registry.versions('seismic-events-value')).toHaveLength(1)
    expect(registry.versions('seismic-events-aggregated-value')).toHaveLength(1)
  })
})
