import { lastValueFrom } from 'rxjs'
import { afterAll, expect, test } from 'vitest'
import { lookAhead } from '../../src/kafka/look-ahead.js'
import { connect, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'

const connection = connect('embedded')
afterAll(() => connection.close())

// The embedded broker keeps some megabytes of a partition.
test('records that are left after retention are records to who looks ahead', async () => {
  const sink = sinkOf(connection, { topic: 'old', partitions: 4 })
  await openSink(sink)
  const big = 'x'.repeat(20_000)
  for (let round = 0; round < 10; round++) {
    await writeAll(
      sink,
      Array.from({ length: 100 }, () => recordOf(big, 'key')),
    )
  }
  if (sink.close !== undefined) await lastValueFrom(sink.close(), { defaultValue: undefined })
  const settings = { ...(await connection.memberSettings()), 'group.id': 'g' }
  const beginnings = [0, 1, 2, 3].map((partition) => ({ topic: 'old', partition, offset: 0 }))
  const found = await lookAhead(settings, beginnings)
  expect(found.find(({ offset, ahead }) => offset > 0 || ahead === 'records')?.ahead).toBe('records')
})
