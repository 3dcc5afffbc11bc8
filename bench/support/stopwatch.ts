import kafkaClient from '@confluentinc/kafka-javascript'
import { eventText } from './events.js'

const now = () => performance.timeOrigin + performance.now()

/**
 * Writes events to one topic at a steady rate and reads them again from another, where somebody copies them. Returns how
 * long each was under way, ms.
 */
export async function measureCopies(
  brokers: string,
  {
    input,
    output,
    perSecond,
    seconds,
    warmUpSeconds,
  }: { input: string; output: string; perSecond: number; seconds: number; warmUpSeconds: number },
): Promise<number[]> {
  const producer = new kafkaClient.Producer({ 'bootstrap.servers': brokers, 'linger.ms': 1 })
  await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())))
  producer.setPollInBackground(true)
  const latencies: number[] = []
  const total = perSecond * (seconds + warmUpSeconds)
  const counts = perSecond * warmUpSeconds
  let arrived = 0
  const consumer = new kafkaClient.KafkaConsumer(
    { 'bootstrap.servers': brokers, 'group.id': `stopwatch-${output}`, 'enable.auto.commit': false },
    { 'auto.offset.reset': 'earliest' },
  )
  await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
  consumer.subscribe([output])
  consumer.on('data', (message) => {
    const sentAt = Number(message.value?.subarray(0, 18).toString())
    if (++arrived > counts) latencies.push(now() - sentAt)
  })
  consumer.consume()
  await pause(5_000)
  await write(producer, input, perSecond, total)
  for (let waited = 0; arrived < total && waited < 15_000; waited += 100) await pause(100)
  await new Promise<void>((resolve) => consumer.disconnect(() => resolve()))
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()))
  if (arrived !== total) throw new Error(`${arrived} of ${total} copies arrived`)
  return latencies
}

/** In steps of 2 ms, as evenly as timers allow. */
async function write(
  producer: InstanceType<typeof kafkaClient.Producer>,
  topic: string,
  perSecond: number,
  total: number,
) {
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
