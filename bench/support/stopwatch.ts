import kafkaClient from '@confluentinc/kafka-javascript'
import { eventText } from './events.js'
import { call } from './load.js'

export const now = () => performance.timeOrigin + performance.now()

type Producer = InstanceType<typeof kafkaClient.Producer>
type Consumer = InstanceType<typeof kafkaClient.KafkaConsumer>

/** Tells how long events are under way that somebody copies from one topic to another. */
export class Stopwatch {
  private latencies: number[] = []

  private constructor(
    private readonly producer: Producer,
    private readonly consumer: Consumer,
  ) {
    consumer.on('data', ({ value }) => this.latencies.push(now() - Number(value?.subarray(0, 18).toString())))
  }

  /** Reads the topics that copies are written to. */
  static async start(brokers: string, outputs: readonly string[]): Promise<Stopwatch> {
    const producer = await promptProducer(brokers)
    const consumer = new kafkaClient.KafkaConsumer(
      { 'bootstrap.servers': brokers, 'group.id': `stopwatch-${outputs.join()}`, 'enable.auto.commit': false },
      { 'auto.offset.reset': 'earliest' },
    )
    await call((done) => consumer.connect({}, done))
    consumer.subscribe([...outputs])
    const stopwatch = new Stopwatch(producer, consumer)
    consumer.consume()
    await pause(5_000)
    return stopwatch
  }

  /**
   * Writes to a topic at a steady rate and waits for the copies. Returns how long each was under way, ms; who was idle
   * before may wake up first, so those of the beginning are left out.
   */
  async measure(
    input: string,
    { perSecond, seconds, wakingSeconds }: { perSecond: number; seconds: number; wakingSeconds: number },
  ): Promise<number[]> {
    const total = perSecond * (wakingSeconds + seconds)
    this.latencies = []
    await steadily(perSecond, total, (index) => {
      const text = `${now().toFixed(4).padStart(18)}${eventText(index, perSecond)}`
      this.producer.produce(input, null, Buffer.from(text), `user-${index % 5_000}`)
    })
    for (let waited = 0; this.latencies.length < total && waited < 15_000; waited += 10) await pause(10)
    if (this.latencies.length !== total) throw new Error(`${this.latencies.length} of ${total} copies arrived`)
    return this.latencies.slice(perSecond * wakingSeconds)
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.consumer.disconnect(() => resolve()))
    await new Promise<void>((resolve) => this.producer.disconnect(() => resolve()))
  }
}

/**
 * Sends soon what it is given. Keys lie where Weir puts them too: copies of one batch stay together then, and are no three
 * small ones.
 */
export async function promptProducer(brokers: string): Promise<Producer> {
  const producer = new kafkaClient.Producer({
    'bootstrap.servers': brokers,
    'linger.ms': 1,
    partitioner: 'murmur2_random',
  })
  await call((done) => producer.connect({}, done))
  producer.setPollInBackground(true)
  return producer
}

/** Writes to each partition in turn, as evenly as timers allow, until it is aborted. */
export async function writeSteadily(
  brokers: string,
  topic: string,
  {
    partitions,
    perSecond,
    signal,
    text = (index) => eventText(index, perSecond),
  }: { partitions: number; perSecond: number; signal: AbortSignal; text?: (index: number) => string },
): Promise<void> {
  const producer = new kafkaClient.Producer({ 'bootstrap.servers': brokers, 'linger.ms': 1 })
  await call((done) => producer.connect({}, done))
  producer.setPollInterval(10)
  const send = (index: number) =>
    producer.produce(topic, index % partitions, Buffer.from(text(index)), `user-${index % 5_000}`)
  await steadily(perSecond, Number.POSITIVE_INFINITY, send, signal)
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()))
}

/** Sends so many, in steps of 2 ms as evenly as timers allow, unless it is aborted before. */
export async function steadily(perSecond: number, total: number, send: (index: number) => void, signal?: AbortSignal) {
  const began = now()
  for (let sent = 0; sent < total && signal?.aborted !== true; await pause(2)) {
    const due = Math.min(total, Math.floor(((now() - began) / 1_000) * perSecond))
    for (; sent < due; sent++) send(sent)
  }
}

export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
