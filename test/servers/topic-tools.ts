import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ClientError, call, disconnect, nativeClient, type Producer } from '../../src/kafka/client.js'
import { installKafka } from './kafka-install.js'

interface Admin {
  createTopic(topic: object, timeout: number, done: (error?: ClientError) => void): void
  deleteTopic(topic: string, timeout: number, done: (error?: ClientError) => void): void
  createPartitions(topic: string, total: number, timeout: number, done: (error?: ClientError) => void): void
  deleteRecords(before: object[], options: object, done: (error: ClientError | null, deleted: unknown) => void): void
  describeTopics(
    topics: string[],
    options: object,
    done: (error: ClientError | null, topics: Described[]) => void,
  ): void
}

interface Described {
  readonly topicId: { readonly base64: string }
  readonly error?: ClientError | null
  readonly partitions: readonly unknown[]
}

/** How long brokers may take: on a busy machine that is long. */
const answerMs = 60_000

/** What a topic has of settings of its own, as Kafka's own command tells it. */
export function settingsOfTopic(bootstrap: string, topic: string): Record<string, string> {
  const about = ['--describe', '--entity-type', 'topics', '--entity-name', topic]
  const command = ['-cp', installKafka().jars, 'kafka.admin.ConfigCommand', '--bootstrap-server', bootstrap, ...about]
  const text = execFileSync('java', command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  return Object.fromEntries([...text.matchAll(/^\s*([a-z.]+)=(\S+) /gm)].map(([, name, value]) => [name, value]))
}

/** Gives a topic, or the clients of an id, settings, with Kafka's own command: `name=value,…`. */
export async function configure(bootstrap: string, type: 'topics' | 'clients', name: string, settings: string) {
  const about = ['--alter', '--entity-type', type, '--entity-name', name, '--add-config', settings]
  const command = ['-cp', installKafka().jars, 'kafka.admin.ConfigCommand', '--bootstrap-server', bootstrap, ...about]
  await promisify(execFile)('java', command)
}

/** Moves the partitions of a topic, each to the broker of its place in the list, with Kafka's own command. Resolves when that has begun. */
export async function reassign(bootstrap: string, topic: string, brokers: readonly number[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-reassign-'))
  const file = join(folder, 'plan.json')
  const partitions = brokers.map((broker, partition) => ({ topic, partition, replicas: [broker] }))
  writeFileSync(file, JSON.stringify({ version: 1, partitions }))
  const about = ['--bootstrap-server', bootstrap, '--reassignment-json-file', file, '--execute']
  const tool = 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand'
  try {
    await promisify(execFile)('java', ['-cp', installKafka().jars, tool, ...about])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What operators do to topics and groups, with a client that knows nothing of Weir. */
export class TopicTools {
  private constructor(
    private readonly bootstrap: string,
    private readonly producer: Producer,
    private readonly admin: Admin,
  ) {}

  static async connect(bootstrap: string): Promise<TopicTools> {
    const { Producer, AdminClient } = nativeClient() as unknown as {
      Producer: new (settings: object) => Producer
      AdminClient: { createFrom(client: Producer): Admin }
    }
    const producer = new Producer({ 'metadata.broker.list': bootstrap, dr_cb: true, 'linger.ms': 0 })
    await call((done) => producer.connect({}, done))
    return new TopicTools(bootstrap, producer, AdminClient.createFrom(producer))
  }

  async create(topic: string, partitions: number): Promise<void> {
    const asked = { topic, num_partitions: partitions, replication_factor: 1, config: {} }
    await call((done) => this.admin.createTopic(asked, answerMs, (error) => done(error, undefined)))
    await this.shows(topic, (count) => count === partitions)
  }

  async delete(topic: string): Promise<void> {
    const { id } = await this.describe(topic)
    await call((done) => this.admin.deleteTopic(topic, answerMs, (error) => done(error, undefined)))
    // Whoever writes to it may have made it anew by then.
    await this.shows(topic, (_, now) => now !== id)
  }

  async recreate(topic: string, partitions: number): Promise<void> {
    await this.delete(topic)
    await this.create(topic, partitions)
  }

  async grow(topic: string, partitions: number): Promise<void> {
    await call((done) => this.admin.createPartitions(topic, partitions, answerMs, (error) => done(error, undefined)))
    await this.shows(topic, (count) => count === partitions)
  }

  /** The broker that leads each partition of a topic. */
  async leaders(topic: string): Promise<readonly number[]> {
    const { topics } = await call<{ topics: { name: string; partitions: { leader: number }[] }[] }>((done) =>
      this.producer.getMetadata({ topic, timeout: answerMs }, done as never),
    )
    return topics.find(({ name }) => name === topic)?.partitions.map(({ leader }) => leader) ?? []
  }

  async deleteBefore(topic: string, partition: number, offset: number): Promise<void> {
    await call((done) => this.admin.deleteRecords([{ topic, partition, offset }], { timeout: answerMs }, done))
  }

  /** Writes `r<from>`, … to a partition; resolves when all are acknowledged. */
  fill(topic: string, partition: number, from: number, to: number, key = 'key'): Promise<void> {
    const texts = Array.from({ length: to - from }, (_, index) => `r${from + index}`)
    return this.put(topic, partition, texts, key)
  }

  /** Writes records of these texts to a partition; resolves when all are acknowledged. */
  async put(topic: string, partition: number, texts: readonly string[], key = 'key'): Promise<void> {
    // A client of its own: one that knew the topic before has to learn of what has become of it.
    const producer = new (nativeClient().Producer)({ 'metadata.broker.list': this.bootstrap, dr_cb: true, acks: -1 })
    await call((done) => producer.connect({}, done))
    producer.setPollInterval(10)
    let left = texts.length
    await new Promise<void>((resolve, reject) => {
      producer.on('delivery-report', (error) => {
        if (error) reject(error)
        else if (--left === 0) resolve()
      })
      for (const text of texts) producer.produce(topic, partition, Buffer.from(text), key)
    })
    await disconnect(producer)
  }

  /** As `kafka-consumer-groups --reset-offsets` does, of a group without members. */
  async resetOffset(group: string, topic: string, partition: number, offset: number): Promise<void> {
    const client = new (nativeClient().KafkaConsumer)({ 'metadata.broker.list': this.bootstrap, 'group.id': group })
    await call((done) => client.connect({}, done))
    const deadline = Date.now() + answerMs
    for (;;) {
      try {
        client.commitSync({ topic, partition, offset })
        break
      } catch (error) {
        // The last member has to be gone.
        if (Date.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    await disconnect(client)
  }

  async close(): Promise<void> {
    await disconnect(this.producer)
  }

  /** How many partitions a topic has, and what tells it from others of its name. */
  private async describe(topic: string): Promise<{ partitions: number; id: string | undefined }> {
    const [described] = await call<Described[]>((done) =>
      this.admin.describeTopics([topic], { timeout: answerMs }, done),
    )
    if (described === undefined || described.error) return { partitions: 0, id: undefined }
    return { partitions: described.partitions.length, id: described.topicId.base64 }
  }

  private async shows(topic: string, isDone: (partitions: number, id: string | undefined) => boolean): Promise<void> {
    const deadline = Date.now() + answerMs
    for (;;) {
      const { partitions, id } = await this.describe(topic)
      if (isDone(partitions, id)) return
      if (Date.now() > deadline) throw new Error(`waiting for topic '${topic}'`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
