import { lastValueFrom } from 'rxjs'
import { expect, test } from 'vitest'
import { KafkaAuditLog } from '../../src/cli/audit/kafka-log.js'
import { RecordWriter } from '../../src/cli/record-writer.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import type { AuditEvent } from '../../src/model/index.js'

const connection = { address: 'a cluster' } as KafkaConnection
const event: AuditEvent = {
  id: '1',
  time: 0,
  source: 'weir/shop',
  action: 'dlq.replay',
  subject: 'orders',
  correlationId: 'c',
  actor: { name: 'ann' },
  data: {},
}

test('what is written to an audit that is not open is an error, and none that is lost', async () => {
  const log = new KafkaAuditLog(connection, 'audit')
  await expect(lastValueFrom(log.write([event]), { defaultValue: undefined })).rejects.toThrow(/has to be open/)
  await lastValueFrom(log.close(), { defaultValue: undefined })
  await expect(lastValueFrom(log.write([event]), { defaultValue: undefined })).rejects.toThrow(/has to be open/)
})

test('a record that is written before there is a producer is an error, and not one that counts as written', async () => {
  const writer = new RecordWriter(connection, 'orders', () => undefined)
  const added = writer.add({ key: null, value: null, timestamp: 0, headers: [] }, 'line 1')
  await expect(added).rejects.toThrow(/has to be open/)
  expect(writer.written).toBe(0)
})
