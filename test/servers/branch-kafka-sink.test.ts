import { lastValueFrom, of } from 'rxjs'
import { afterAll, expect, test } from 'vitest'
import { branching } from '../../src/engine/branching.js'
import { KafkaTransaction } from '../../src/kafka/checkpoint-transaction.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { kafkaSink } from '../../src/sinks/kafka.js'
import { MarbleTime } from '../../src/testing/marble-time.js'
import { connect, recordOf } from './kafka-support.js'

const connection = connect('embedded')
afterAll(() => connection.close())

const records$ = of(...[1, 2, 3, 4].map((value) => recordOf(value)))
const ended = { defaultValue: undefined }

function sinkIn(transaction: unknown, topic: string) {
  const context = {
    app: 'test',
    flow: 'flow',
    stage: 'stage',
    clock: systemClock,
    log: silentLogger,
    connection: () => connection,
    reject: () => undefined,
    transaction: () => transaction,
    joins: transaction !== undefined,
    time: new MarbleTime(),
  }
  return kafkaSink.build(kafkaSink.options.parse({ topic }), context as never)
}

const node = (name: string, when?: (value: unknown) => boolean) => ({ name, when, stages: [], end: [] })

test('exactly once: a branch gets what is routed while its transaction begins', async () => {
  const produced: number[] = []
  const producer = {
    failure: undefined,
    // Answered by a callback of the client, a turn of the event loop later.
    begin: () => new Promise<void>((resolve) => setImmediate(resolve)),
    produce: (message: { value: Buffer }) => produced.push(Number(message.value.toString())),
    flush: () => Promise.resolve(),
  }
  const transaction = new KafkaTransaction(() => ({ producer: () => producer }) as never, 'task')
  const [small, rest] = [sinkIn(transaction, 'small'), sinkIn(transaction, 'rest')]
  const run = branching([
    { node: node('small', (value) => (value as number) < 3), run: (records$) => small.write(records$) },
    { node: node('rest'), run: (records$) => rest.write(records$) },
  ])
  await lastValueFrom(run(records$), ended)
  expect(produced).toEqual([1, 2, 3, 4])
})

test('at least once: after a producer has failed, the replay gets what is routed while it is made anew', async () => {
  const sink = sinkIn(undefined, 'numbers')
  await lastValueFrom(sink.open?.() ?? of(), ended)
  const { writer } = sink as unknown as { writer: { producer: { failure?: object }; write(...all: unknown[]): void } }
  const sent: string[] = []
  const write = writer.write.bind(writer)
  writer.write = (...all) => {
    sent.push((all[0] as { value: Buffer }).value.toString())
    write(...all)
  }
  writer.producer.failure = { code: -192, message: 'Local: Message timed out' }
  const run = branching([{ node: node('all'), run: (records$) => sink.write(records$) }])
  await lastValueFrom(run(records$), ended)
  expect(sent).toEqual(['1', '2', '3', '4'])
})
