import { lastValueFrom, of } from 'rxjs'
import { expect, test } from 'vitest'
import type { CheckpointTask } from '../../src/kafka/checkpoint-task.js'
import { KafkaTransaction } from '../../src/kafka/checkpoint-transaction.js'
import { noHeaders, type SinkContext, StreamRecord } from '../../src/model/index.js'
import { kafkaSink } from '../../src/sinks/kafka.js'

test('in the transaction of an epoch the sink completes when the brokers have all that it wrote', async () => {
  const calls: string[] = []
  const producer = {
    failure: undefined,
    begin: () => Promise.resolve(calls.push('begin')),
    produce: ({ value }: { value: Buffer }) => calls.push(`produce ${value.toString()}`),
    flush: () => Promise.resolve(calls.push('flush')),
  }
  const task = { producer: () => producer } as unknown as CheckpointTask
  const transaction = new KafkaTransaction(() => task, 'app.flow')
  const context = { flow: 'flow', stage: 'sink', connection: () => ({}), transaction: () => transaction }
  const sink = kafkaSink.build(kafkaSink.options.parse({ topic: 'out' }), context as unknown as SinkContext)
  const origin = { topic: 'in', partition: 0, offset: 0 }
  await lastValueFrom(sink.write(of(new StreamRecord(null, 'a', 0, noHeaders, origin))), { defaultValue: undefined })
  expect(calls).toEqual(['begin', 'produce a', 'flush'])
})
