import kafkaClient from '@confluentinc/kafka-javascript'
import { eventText } from './events.js'

const now = () => performance.timeOrigin + performance.now()

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
    const producer = new kafkaClient.Producer({ 'bootstrap.servers': brokers, 'linger.ms': 1 })
    await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())))
    producer.setPollInBackground(true)
    const consumer = new kafkaClient.KafkaConsumer(
      { 'bootstrap.servers': brokers, 'group.id': `stopwatch-${outputs.join()}`, 'enable.auto.commit': false },
      { 'auto.offset.reset': 'earliest' },
    )
    await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
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
    await write(this.producer, input, perSecond, total)
    for (let waited = 0; this.latencies.length < total && waited < 15_000; waited += 10) await pause(10)
    if (this.latencies.length !== total) throw new Error(`${this.latencies.length} of ${total} copies arrived`)
    return this.latencies.slice(perSecond * wakingSeconds)
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.consumer.disconnect(() => resolve()))
    await new Promise<void>((resolve) => this.producer.disconnect(() => resolve()))
  }
}

/** In steps of 2 ms, as evenly as timers allow. */
async function write(producer: Producer, topic: string, perSecond: number, total: number) {
  const began = now()
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((now() - began) / 1_000) * perSecond))
    for (; sent < due; sent++) {
      const text = `${now().toFixed(4).padStart(18)}${eventText(sent, perSecond)}`
      producer.produce(topic, null, Buffer.from(text), `user-${sent % 5_000}`)
    }
    await pause(2)
  }
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
  await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())))
  producer.setPollInterval(10)
  const began = now()
  for (let sent = 0; !signal.aborted; await pause(2)) {
    const due = Math.floor(((now() - began) / 1_000) * perSecond)
    for (; sent < due; sent++) {
      producer.produce(topic, sent % partitions, Buffer.from(text(sent)), `user-${sent % 5_000}`)
    }
  }
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()))
}

export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
