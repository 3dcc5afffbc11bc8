import { concat, lastValueFrom, type Observable, of } from 'rxjs'
import { expect, test } from 'vitest'
import type { CheckpointTask } from '../../src/kafka/checkpoint-task.js'
import { KafkaTransaction } from '../../src/kafka/checkpoint-transaction.js'
import { TransactionSearch } from '../../src/kafka/search.js'
import { noHeaders, type SinkContext, StreamRecord } from '../../src/model/index.js'
import { kafkaSink } from '../../src/sinks/kafka.js'

const done = (work$: Observable<unknown>) => lastValueFrom(work$, { defaultValue: undefined })

/** The transaction of an epoch, and what it has its producer do. */
function begun() {
  const calls: string[] = []
  const doing = (what: string) => () => Promise.resolve(calls.push(what))
  const produce = ({ value }: { value: Buffer }) => calls.push(`produce ${value.toString()}`)
  const producer = { produce, begin: doing('begin'), flush: doing('flush'), abort: doing('abort') }
  const task = {
    producer: () => producer,
    search: new TransactionSearch(),
    commit: async (_: unknown, open: () => Promise<unknown>) => {
      await open()
      calls.push('commit')
    },
  }
  const transaction = new KafkaTransaction(() => task as unknown as CheckpointTask, 'app.flow')
  return { calls, transaction }
}

test('a sink that joins it completes when the brokers have all that it wrote', async () => {
  const { calls, transaction } = begun()
  const context = {
    flow: 'flow',
    stage: 'sink',
    connection: () => ({ owns: () => undefined }),
    transaction: () => transaction,
  }
  const sink = kafkaSink.build(kafkaSink.options.parse({ topic: 'out' }), context as unknown as SinkContext)
  const origin = { topic: 'in', partition: 0, offset: 0 }
  await done(sink.write(of(new StreamRecord(null, 'a', 0, noHeaders, origin))))
  expect(calls).toEqual(['begin', 'produce a', 'flush'])
})

test('a rollback aborts what was begun, once, and nothing that is committed', async () => {
  const open = begun()
  await done(concat(open.transaction.join$, open.transaction.rollback(), open.transaction.rollback()))
  expect(open.calls).toEqual(['begin', 'abort'])
  const over = begun()
  await done(concat(over.transaction.commit({ task: 'app.flow', partitions: [] }), over.transaction.rollback()))
  expect(over.calls).toEqual(['begin', 'commit'])
  const idle = begun()
  await done(idle.transaction.rollback())
  expect(idle.calls).toEqual([])
})
