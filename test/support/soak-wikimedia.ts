import { onTestFinished } from 'vitest'
import type { KafkaCluster } from '../servers/kafka-broker.js'
import { freePort } from '../servers/server-support.js'
import { type Fault, processFault, replicaFaults } from './chaos.js'
import { until, Worker } from './job.js'
import { readTopic } from './job-truth.js'
import { ReplayServer } from './replay-server.js'
import { type Balance, compared, type Soaked } from './soak.js'
import { invented, type Recorded } from './wikimedia-captures.js'
import { countOf, type Event, type Shown } from './wikimedia-truth.js'

const app = 'soak-wikimedia'
const topic = `${app}.changes`
/** Events come each 20 ms. */
const rate = 50

/** The Wikimedia system: a server of events that does what real ones do, one ingest, and two replicas of the statistics. */
export class SoakedWikimedia implements Soaked {
  readonly name = 'wikimedia'
  readonly hands: readonly (readonly Fault[])[]
  readonly workers: readonly Worker[]

  private constructor(
    private readonly kafka: KafkaCluster,
    private readonly events: readonly Recorded[],
    private readonly server: ReplayServer,
    ingest: Worker,
    private readonly replicas: readonly Worker[],
  ) {
    const drop: Fault = (_, tell) => {
      tell('the server of events drops its connections')
      server.drop()
      return Promise.resolve()
    }
    this.workers = [ingest, ...replicas]
    this.hands = [replicaFaults(replicas), [processFault('the ingest', ingest), drop]]
  }

  static async start(kafka: KafkaCluster, seconds: number, seed: number): Promise<SoakedWikimedia> {
    const events = invented(Math.round(seconds * rate), seed)
    const faults = { drop: 0.001, repeat: 0.05, delay: 0.05, garbage: 0.01, endless: 0.1, error: 0.1, redirect: 0.3 }
    const more = { foreign: 0.07, silence: 0.07 }
    // What is not sent while the ingest is away is sent later.
    const server = await ReplayServer.start({ events, faults: { ...faults, ...more }, seed, speed: 1.3 })
    onTestFinished(() => server.close())
    const started = async (flow: string) => {
      const environment = {
        KAFKA_BROKERS: kafka.bootstrap,
        WIKIPEDIA_STREAM_URL: server.url,
        WIKIPEDIA_TOPIC: topic,
        WIKIPEDIA_IDLE_SEC: '2',
        WEIR_APP: app,
        SERVER_PORT: String(await freePort()),
      }
      const worker = new Worker(environment, [flow])
      onTestFinished(() => worker.kill())
      worker.start()
      await worker.ready(120_000)
      return worker
    }
    const ingest = await started('wikimedia-ingest')
    const replicas = await Promise.all([started('wikimedia-stats'), started('wikimedia-stats')])
    return new SoakedWikimedia(kafka, events, server, ingest, replicas)
  }

  async settle(): Promise<Balance> {
    this.server.hurry()
    const changes = this.events.map(({ data }) => data).filter((data) => domainOf(data) !== 'canary')
    const read = async () => (await readTopic(this.kafka.bootstrap, topic)).map(({ value }) => String(value))
    const isWritten = async () => (await read()).length >= changes.length
    await until(isWritten, 'all changes are on the topic', 240_000).catch(() => undefined)
    const found = await read()
    const { lost, doubled } = compared(found, changes)
    const expected = JSON.stringify(sorted(countOf(found)))
    const shown = await Promise.all(this.replicas.map((replica) => this.shownBy(replica, expected)))
    const codes = await Promise.all(this.workers.map((worker) => worker.stop()))
    const told = new Set(
      (await readTopic(this.kafka.bootstrap, `${app}.wikimedia-ingest.dead-letters`)).map(({ value }) => String(value)),
    )
    const strange = [...told].filter((text) => !this.server.garbage.includes(text) && !/^(data: )?x+$/.test(text))
    return {
      summary: `${changes.length} changes, sent ${this.server.sent} times, ${found.length} on the topic, ${told.size} dead letters`,
      lost,
      doubled,
      odd: [
        ...shown.flatMap((is, index) => (is === expected ? [] : [`replica ${index} shows ${is.slice(0, 300)}`])),
        ...strange.map((text) => `a dead letter that nobody sent: ${text.slice(0, 80)}`),
        ...codes.flatMap((code, index) => (code === 0 ? [] : [`process ${index} stopped with ${code}`])),
      ],
      late: 0,
    }
  }

  private async shownBy(worker: Worker, expected: string): Promise<string> {
    let shown = ''
    const look = async () => {
      const { status, text } = await worker.get('/stats')
      shown = status === 200 ? JSON.stringify(sorted(JSON.parse(text) as Shown)) : `${status} ${text}`
      return shown === expected
    }
    await until(look, 'a replica shows what it should', 120_000).catch(() => undefined)
    return shown
  }
}

const domainOf = (data: string) => (JSON.parse(data) as Event).meta.domain

function sorted({ by_domain, by_user }: Shown): Shown {
  const inOrder = (counts: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(counts).sort(([one], [other]) => (one < other ? -1 : 1)))
  return { by_domain: inOrder(by_domain), by_user: inOrder(by_user) }
}
