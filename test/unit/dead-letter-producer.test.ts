import { lastValueFrom } from 'rxjs'
import { afterAll, expect, test } from 'vitest'
import { KafkaDeadLetters } from '../../src/kafka/dead-letters.js'
import { WeirError } from '../../src/model/index.js'
import { connect, recordOf } from '../servers/kafka-support.js'

const connection = connect('embedded')
afterAll(() => connection.close())

test('dead letters are written again once their broker is back', async () => {
  const sink = new KafkaDeadLetters(connection, 'dead')
  const settle = (step$: ReturnType<typeof sink.flush>) => lastValueFrom(step$, { defaultValue: 'done' })
  const letter = {
    record: recordOf('x'),
    error: new WeirError('WEIR_RECORD_MALFORMED', 'x'),
    flow: 'f',
    stage: 's',
    attempts: 1,
  }
  await settle(sink.open())
  sink.write(letter)
  expect(await settle(sink.flush())).toBe('done')
  // The broker was away for longer than 30 s: the delivery report says so.
  const { producer } = (sink as unknown as { writer: { producer: { failure?: unknown } } }).writer
  sink.write(letter)
  producer.failure = { code: -192, message: 'Local: Message timed out' }
  await expect(settle(sink.flush())).rejects.toThrow('Message timed out')
  // The broker is back, and the epoch is tried again, 9 times more.
  const outcomes: string[] = []
  for (let attempt = 2; attempt <= 10; attempt++) {
    try {
      sink.write(letter)
      outcomes.push(String(await settle(sink.flush())))
    } catch (error) {
      outcomes.push((error as Error).message)
    }
  }
  expect(outcomes).toEqual(Array(9).fill('done'))
})
