import { from, lastValueFrom, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { messageFor } from '../../src/kafka/dead-letters.js'
import { noHeaders, type SinkContext, StreamRecord, silentLogger, WeirError } from '../../src/model/index.js'
import { batchDefinition } from '../../src/operators/batch.js'
import { tableShape } from '../../src/sinks/internal/table-options.js'
import { type TableConnection, TableSink } from '../../src/sinks/internal/table-sink.js'
import { UnencodableError } from '../../src/sql/index.js'

test('a refused row of a batch goes to the dead letters byte for byte', async () => {
  const scheduler = new VirtualTimeScheduler()
  const letters: { offset: number; value: string }[] = []
  const context = {
    flow: 'flow',
    stage: 'stage',
    clock: { now: () => scheduler.now(), scheduler },
    log: silentLogger,
    transaction: () => undefined,
    reject: (record: StreamRecord, error: WeirError) => {
      const message = messageFor({ record, error, flow: 'flow', stage: 'stage', attempts: 1 }, 'dead', 'app')
      letters.push({ offset: record.origin.offset, value: String(message.value) })
    },
  } as unknown as SinkContext
  const prepare = (rows: readonly { id: number }[]) => {
    if (rows.some(({ id }) => id < 0)) throw new UnencodableError(new TypeError('negative'), 'id')
    return () => Promise.resolve()
  }
  const faults = { of: (error: unknown) => (error instanceof UnencodableError ? 'record' : 'system'), text: String }
  const connection = {
    faults,
    run: (work: (client: object) => Promise<unknown>) => from(work({})),
  } as unknown as TableConnection<object>
  const settings = { ...z.object(tableShape).parse({ row: (value: object) => value }), table: 'items' }
  const sink = new TableSink(settings, context, connection, () => Promise.resolve({ prepare } as never))
  await lastValueFrom(sink.open(), { defaultValue: undefined })

  const ids = [1, -2, 3]
  const records = ids.map((id, offset) => {
    const value = Buffer.from(JSON.stringify({ id }))
    return new StreamRecord(null, { id }, 0, noHeaders, {
      topic: 't',
      partition: 0,
      offset,
      key: null,
      value,
      timestamp: 0,
    })
  })
  const through = batchDefinition.build(batchDefinition.options.parse({ size: 3 }), context)
  await lastValueFrom(sink.write(from(records).pipe(through)), { defaultValue: undefined })
  expect(letters).toEqual([{ offset: 1, value: '{"id":-2}' }])
})
