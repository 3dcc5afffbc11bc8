import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { SeismicEvent } from '../../src/flows/seismic.js'
import type { KafkaCluster } from '../servers/kafka-broker.js'
import type { MariadbServer } from '../servers/mariadb-server.js'
import { freePort } from '../servers/server-support.js'
import { databaseFault, type Fault, processFault, replicaFaults } from './chaos.js'
import { until, Worker } from './job.js'
import { random } from './job-traffic.js'
import { letterPlace, placeOf, readTopic, writeTopic } from './job-truth.js'
import { expectedTables, progressOf, type SeismicTables, shocks, storedTables } from './seismic.js'
import { type Balance, compared, type Soaked } from './soak.js'

const [rate, keep] = [50, 50]
const topic = 'seismic-events'
const app = 'soak-seismic'

/** The seismic system: a producer, two replicas that store and gather, and somebody who writes nonsense to the topic. */
export class SoakedSeismic implements Soaked {
  readonly name = 'seismic'
  readonly hands: readonly (readonly Fault[])[]
  readonly workers: readonly Worker[]
  private isOver = false
  private readonly mischief: Promise<void>

  private constructor(
    private readonly kafka: KafkaCluster,
    private readonly mariadb: MariadbServer,
    private readonly producer: Worker,
    private readonly replicas: readonly Worker[],
    seed: number,
  ) {
    this.mischief = this.writeNonsense(random(seed))
    this.workers = [producer, ...replicas]
    this.hands = [
      replicaFaults(replicas),
      [databaseFault('MariaDB', mariadb), processFault('the seismic producer', producer)],
    ]
  }

  static async start(kafka: KafkaCluster, mariadb: MariadbServer, seed: number): Promise<SoakedSeismic> {
    const started = async (...flows: string[]) => {
      const environment = {
        KAFKA_BROKERS: kafka.bootstrap,
        MYSQL_URL: mariadb.url,
        SEISMIC_RATE: String(rate),
        SEISMIC_KEEP: String(keep),
        SERVER_PORT: String(await freePort()),
        WEIR_APP: app,
      }
      const worker = new Worker(environment, flows)
      onTestFinished(() => worker.kill())
      worker.start()
      await worker.ready(120_000)
      return worker
    }
    const producer = await started('seismic-producer')
    const consume = () => started('seismic-aggregate', 'seismic-persist')
    return new SoakedSeismic(kafka, mariadb, producer, await Promise.all([consume(), consume()]), seed)
  }

  async settle(): Promise<Balance> {
    this.isOver = true
    await this.mischief
    const codes = [await this.producer.stop()]
    const messages = await readTopic(this.kafka.bootstrap, topic)
    const read = messages.map((message) => ({ message, event: eventOf(message.value) }))
    const produced = read.flatMap(({ event }) => event?.eventid ?? [])
    const expected = shocks(produced.length, rate)
    const due = expected.map(({ eventid }) => eventid)
    const isReached = async () => {
      const { stored, gathered } = await progressOf(this.mariadb)
      return stored >= expected.length && gathered >= expected.length
    }
    await until(isReached, 'MySQL holds every shock and list', 180_000).catch(() => undefined)
    const nonsense = read.filter(({ event }) => event === undefined).map(({ message }) => placeOf(message))
    const unlettered = await this.unlettered(nonsense)
    codes.push(...(await Promise.all(this.replicas.map((replica) => replica.stop()))))
    const tables = await storedTables(this.mariadb)
    const written = compared(produced, due)
    const stored = compared(
      tables.events.map(({ eventid }) => eventid),
      due,
    )
    return {
      summary: `${produced.length} shocks, ${nonsense.length} records that are none, ${tables.sensors.length} sensors`,
      lost: [...written.lost, ...stored.lost, ...unlettered],
      doubled: [...written.doubled, ...stored.doubled],
      odd: [
        ...differences(tables, expectedTables(expected, keep)),
        ...codes.flatMap((code, index) => (code === 0 ? [] : [`process ${index} stopped with ${code}`])),
      ],
      late: 0,
    }
  }

  private async unlettered(places: readonly string[]): Promise<string[]> {
    const look = async () => {
      const all = await Promise.all(
        ['seismic-aggregate', 'seismic-persist'].map(async (flow) => {
          const letters = await readTopic(this.kafka.bootstrap, `${app}.${flow}.dead-letters`).catch(() => [])
          const known = new Set(letters.map(letterPlace))
          return places.filter((place) => !known.has(place)).map((place) => `${place} has no dead letter of ${flow}`)
        }),
      )
      return all.flat()
    }
    await until(async () => (await look()).length === 0, 'all nonsense is told', 60_000).catch(() => undefined)
    return look()
  }

  private async writeNonsense(next: () => number): Promise<void> {
    while (!this.isOver) {
      const records = [
        { key: Buffer.from([0xff, 0xfe]), value: 'no JSON' },
        { key: null, value: '{"sensorid":7}' },
        { key: 's', value: `no JSON${'x'.repeat(999_000)}` },
      ].filter(() => next() < 0.5)
      await writeTopic(this.kafka.bootstrap, topic, records).catch(() => undefined)
      for (const end = Date.now() + 500 + next() * 3_000; Date.now() < end && !this.isOver; ) await sleep(50)
    }
  }
}

/** Undefined for what is no shock. */
function eventOf(value: unknown): SeismicEvent | undefined {
  try {
    const event = JSON.parse(String(value)) as SeismicEvent
    return typeof event.eventid === 'string' ? event : undefined
  } catch {
    return undefined
  }
}

/** The sensors whose lists and maxima are not what they should be. */
function differences(found: SeismicTables, due: SeismicTables): string[] {
  const rows = new Map(found.sensors.map((sensor) => [sensor.sensorid, JSON.stringify(sensor)]))
  return due.sensors.flatMap((sensor) =>
    rows.get(sensor.sensorid) === JSON.stringify(sensor)
      ? []
      : [
          `sensor ${sensor.sensorid}: ${rows.get(sensor.sensorid)?.slice(0, 200)}, must be ${JSON.stringify(sensor).slice(0, 200)}`,
        ],
  )
}
