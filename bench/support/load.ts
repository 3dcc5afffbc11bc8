import kafkaClient from '@confluentinc/kafka-javascript'
import { baseMs, cloudEventText, eventText } from './events.js'
import { pipelineText } from './pipeline-text.js'

/** What is sent of the events of a topic. */
interface Sent {
  readonly key: string
  readonly text: string
  readonly headers?: { readonly [name: string]: string }[]
}

/** Creates a topic of three partitions and fills it with events, keyed by user. */
export async function loadTopic(brokers: string, topic: string, events: number, perSecond: number): Promise<void> {
  await load(brokers, topic, events, (index) => activityOf(index, perSecond))
}

/** The same with CloudEvents, each as one JSON text. */
export async function loadCloudEvents(brokers: string, topic: string, events: number, perSecond: number) {
  const headers = [{ 'content-type': 'application/cloudevents+json' }]
  await load(brokers, topic, events, (index) => {
    const text = cloudEventText(index, perSecond)
    return { key: textBehind(text, '"subject":"'), text, headers }
  })
}

/** The same with events of the pipeline, so many of them in a second. */
export async function loadPipelineEvents(brokers: string, topic: string, events: number, perSecond: number) {
  await load(brokers, topic, events, (index) => pipelineEvent(index, baseMs + (index / perSecond) * 1_000))
}

export function pipelineEvent(index: number, at: number): Sent {
  const text = pipelineText(index, at)
  return { key: /"userId":(\d+)/.exec(text)?.[1] ?? '', text }
}

async function load(brokers: string, topic: string, events: number, eventOf: (index: number) => Sent): Promise<void> {
  await createTopic(brokers, topic)
  const producer = await loader(brokers, {})
  await fill(producer, topic, events, eventOf)
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()))
}

/**
 * Fills a topic that is there, in a transaction that is still open, so that whoever reads it finds nothing yet. What it
 * resolves to lets all of it be seen at once.
 */
export async function loadHidden(
  brokers: string,
  topic: string,
  events: number,
  perSecond: number,
): Promise<() => Promise<void>> {
  const producer = await loader(brokers, { 'transactional.id': `load-${topic}`, 'transaction.timeout.ms': 600_000 })
  await call((done) => producer.initTransactions(30_000, done))
  await call((done) => producer.beginTransaction(done))
  await fill(producer, topic, events, (index) => activityOf(index, perSecond))
  return async () => {
    await call((done) => producer.commitTransaction(30_000, done))
    await new Promise<void>((resolve) => producer.disconnect(() => resolve()))
  }
}

type Producer = InstanceType<typeof kafkaClient.Producer>

async function loader(brokers: string, settings: object): Promise<Producer> {
  const producer = new kafkaClient.Producer({
    'bootstrap.servers': brokers,
    'enable.idempotence': true,
    'linger.ms': 20,
    'queue.buffering.max.messages': 200_000,
    'compression.type': 'none',
    ...settings,
  })
  await call((done) => producer.connect({}, done))
  producer.setPollInterval(10)
  return producer
}

async function fill(producer: Producer, topic: string, events: number, eventOf: (index: number) => Sent) {
  for (let index = 0; index < events; index++) {
    const { key, text, headers } = eventOf(index)
    const value = Buffer.from(text)
    while (!sent(() => producer.produce(topic, null, value, key, undefined, undefined, headers))) await pause(20)
  }
  await call((done) => producer.flush(60_000, done))
}

export async function createTopic(brokers: string, topic: string, partitions = 3): Promise<void> {
  const admin = kafkaClient.AdminClient.create({ 'bootstrap.servers': brokers })
  // Results have the times of their events, and brokers delete what is a week old.
  const config = { 'retention.ms': '-1' }
  await call((done) => admin.createTopic({ topic, num_partitions: partitions, replication_factor: 1, config }, done))
  admin.disconnect()
}

export async function deleteTopic(brokers: string, topic: string): Promise<void> {
  const admin = kafkaClient.AdminClient.create({ 'bootstrap.servers': brokers })
  await call((done) => admin.deleteTopic(topic, done))
  admin.disconnect()
}

/** Awaits a call of the client. Errors with what it says. */
export function call(start: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) =>
    start((error) => (error ? reject(new Error((error as Error).message)) : resolve())),
  )
}

function activityOf(index: number, perSecond: number): Sent {
  const text = eventText(index, perSecond)
  return { key: textBehind(text, '"user_id":"'), text }
}

function textBehind(text: string, name: string): string {
  const start = text.indexOf(name) + name.length
  return text.slice(start, text.indexOf('"', start))
}

function sent(produce: () => unknown): boolean {
  try {
    produce()
    return true
  } catch {
    return false
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
