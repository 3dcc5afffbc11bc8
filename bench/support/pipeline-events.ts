import { call, pipelineEvent } from './load.js'
import { now, promptProducer, steadily } from './stopwatch.js'

/** Writes events of the pipeline at a steady rate, each with the time at which it is given to the producer. */
export async function writePipelineEvents(brokers: string, topic: string, perSecond: number, total: number) {
  const producer = await promptProducer(brokers)
  await steadily(perSecond, total, (index) => {
    const { key, text } = pipelineEvent(index, now())
    producer.produce(topic, null, Buffer.from(text), key)
  })
  await call((done) => producer.flush(60_000, done))
  await new Promise<void>((resolve) => producer.disconnect(() => resolve()))
}
