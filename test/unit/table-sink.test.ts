import { from, lastValueFrom, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Batch, noHeaders, type SinkContext, StreamRecord, silentLogger } from '../../src/model/index.js'
import { tableShape } from '../../src/sinks/internal/table-options.js'
import { type TableConnection, TableSink } from '../../src/sinks/internal/table-sink.js'
import { mergeByKey, PendingRow } from '../../src/sql/row-batch.js'

/** How many of these batches are being written when none is answered. */
async function runningOf(settings: object, batches: number): Promise<number> {
  const scheduler = new VirtualTimeScheduler()
  const context = { clock: { now: () => scheduler.now(), scheduler }, log: silentLogger, transaction: () => undefined }
  let running = 0
  const connection = {
    run: (work: (client: object) => Promise<unknown>) => from(work({})),
  } as unknown as TableConnection<object>
  const sink = new TableSink(
    { ...z.object(tableShape).parse({ row: (value: object) => value, ...settings }), table: 'items' },
    context as unknown as SinkContext,
    connection,
    () => Promise.resolve({ prepare: () => () => (running++, new Promise<never>(() => undefined)) }),
  )
  await lastValueFrom(sink.open(), { defaultValue: undefined })
  const origin = { topic: 't', partition: 0, offset: 0 }
  const recordOf = (value: unknown) => new StreamRecord(null, value, 0, noHeaders, origin)
  const given = Array.from({ length: batches }, (_, id) => recordOf(new Batch([recordOf({ id })])))
  sink.write(from(given)).subscribe()
  return running
}

test('outside of a transaction as many statements run at once as there are writers, and upserts one by one', async () => {
  expect(await runningOf({ writers: 3 }, 5)).toBe(3)
  expect(await runningOf({ writers: 3, mode: 'upsert', key: ['id'] }, 5)).toBe(1)
})

test('rows that replace others are one for each key, also where a key is no number that JSON has', () => {
  const keys = [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 10n, 1, Number.NaN]
  const rows = keys.map((key, index) => new PendingRow({ key, index }, new Batch([]), index))
  expect(mergeByKey(rows, ['key']).map(({ row }) => row['index'])).toEqual([5, 6, 2, 3, 4])
})
