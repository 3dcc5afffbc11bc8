import { concat, defer, firstValueFrom, NEVER, type Observable } from 'rxjs'
import { EventTime } from '../../src/engine/event-time.js'
import { type SinkContext, silentLogger, systemClock } from '../../src/model/index.js'
import { viewSink } from '../../src/sinks/view.js'
import { MemoryViews, TaskStores } from '../../src/state/index.js'
import { Rejecting } from './rejecting.js'
import { type Item, oddItems, type TriedSink } from './sinks.contract.js'

const here = { topic: 'items', partition: 0 }

/** Items in a view, for the sink contract. What JSON keeps is shown: half of a surrogate pair too. */
export function viewSinkUnderTest(): Promise<TriedSink> {
  const rejecting = new Rejecting()
  const { 'half of a surrogate pair': _, ...odd } = oddItems
  let view = openView(rejecting)
  return Promise.resolve({
    reset: () => {
      rejecting.forget()
      view = openView(rejecting)
      return Promise.resolve()
    },
    epoch: (records$) => defer(() => view.epoch(records$)),
    written: async () => {
      const { tables } = await firstValueFrom(view.kept.read('app/items'))
      return [...(tables.get('items') ?? [])].map(([id, text]) => ({ id: Number(id), text: String(text) }))
    },
    rejecting,
    rejected: rejecting.rejected,
    bad: { id: -1, text: undefined as never },
    odd: {
      ...odd,
      'no text': { id: 80 },
      'a bigint': { id: 81, text: 1n },
      'too much': { id: 82, text: 'x'.repeat(400_001) },
    },
    close: () => Promise.resolve(),
  })
}

function openView(rejecting: Rejecting) {
  const [stores, time, kept] = [new TaskStores(), new EventTime(systemClock), new MemoryViews()]
  const entries = ({ id, text }: Item) => ({ table: 'items', key: String(id), value: text ?? Number.NaN })
  const around = { app: 'app', flow: 'items', stage: 'view', clock: systemClock, log: silentLogger }
  const context = {
    ...around,
    time,
    views: kept,
    joins: false,
    http: { serve: () => NEVER },
    transaction: () => undefined,
    store: stores.declare.bind(stores),
    reject: rejecting.reject,
  }
  const task = viewSink.build(viewSink.options.parse({ path: '/items', entries }), context as unknown as SinkContext)
  stores.assign({ ...here, generation: 1, sequence: 0, progress: undefined })
  time.assigned(0, [here], 1)
  time.assign({ ...here, generation: 1 }, undefined)
  const committed$ = defer(() => {
    stores.commit({ ...here, offset: 0 }, {})
    return task.committed?.() ?? []
  })
  const epoch = (records$: Parameters<typeof task.write>[0]): Observable<unknown> =>
    concat(task.write(records$), committed$)
  return { kept, epoch }
}
