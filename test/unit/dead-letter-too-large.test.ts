import { lastValueFrom } from 'rxjs'
import { afterAll, expect, test } from 'vitest'
import { KafkaDeadLetters } from '../../src/kafka/dead-letters.js'
import { WeirError } from '../../src/model/index.js'
import { connect, recordOf } from '../servers/kafka-support.js'

const connection = connect('embedded')
afterAll(() => connection.close())

test.each([999_000, 1_040_000])('a record of %s bytes goes to the dead letters', async (bytes) => {
  const sink = new KafkaDeadLetters(connection, 'dead')
  await lastValueFrom(sink.open(), { defaultValue: undefined })
  const origin = { topic: 't', partition: 0, offset: 1, key: null, value: Buffer.alloc(bytes, 120), timestamp: 1 }
  const error = new WeirError('WEIR_RECORD_MALFORMED', 'decoding JSON', { cause: new SyntaxError('x') })
  sink.write({ record: recordOf(origin.value, null, { origin }), error, flow: 'f', stage: 's', attempts: 1 })
  expect(await lastValueFrom(sink.flush(), { defaultValue: 'written' })).toBe('written')
})
