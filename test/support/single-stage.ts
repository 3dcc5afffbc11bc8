import { from, VirtualTimeScheduler } from 'rxjs'
import { EventTime, type TimeScope } from '../../src/engine/event-time.js'
import {
  asWeirError,
  type OperatorContext,
  type StreamRecord,
  silentLogger,
  type WeirError,
} from '../../src/model/index.js'
import { TaskStores } from '../../src/state/index.js'

/** What one stage is built with, when no engine is around it. What it rejects is thrown, or handed to `reject`. */
export function singleStage(stage: string, scope: TimeScope, reject?: (error: WeirError) => void) {
  const scheduler = new VirtualTimeScheduler()
  const clock = { now: () => scheduler.now(), scheduler }
  const stores = new TaskStores()
  const time = new EventTime(clock, scope)
  const context = {
    clock,
    time,
    stage,
    log: silentLogger,
    store: stores.declare.bind(stores),
    reject: (_: unknown, error: unknown) => {
      if (reject === undefined) throw error
      reject(asWeirError(error))
    },
  } as unknown as OperatorContext
  return { stores, time, context, scheduler }
}

/** The values that an operator makes of an epoch of records. */
export function valuesOf<V>(records: readonly StreamRecord[], operate: unknown): V[] {
  return recordsOf<V>(records, operate).map(({ value }) => value)
}

/** The records that an operator makes of an epoch of records. */
export function recordsOf<V>(records: readonly StreamRecord[], operate: unknown): StreamRecord<V>[] {
  const made: StreamRecord<V>[] = []
  from(records)
    .pipe(operate as never)
    .subscribe((record) => made.push(record as StreamRecord<V>))
  return made
}
