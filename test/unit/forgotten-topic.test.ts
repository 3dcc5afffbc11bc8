import { lastValueFrom, NEVER } from 'rxjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Engine, type Observer } from '../../src/engine/index.js'
import { aggregate, consoleSink, count, type Flow, flow, from, http, json, merge, recordKey } from '../../src/index.js'
import { type Logger, silentLogger, systemClock } from '../../src/model/index.js'
import { MemoryCheckpoints } from '../../src/state/index.js'
import { compiled, config, orders } from '../support/compiling.js'
import { until } from '../support/job.js'

const Event = z.object({ id: z.number() })
const counts = aggregate('counts', { by: recordKey, of: count(), maxKeys: 10 })
const total = aggregate('counts', { by: 'all', of: count() })
const posted = http.post('/orders', { body: Event })

test.concurrent.each<[what: string, changed: Flow]>([
  ['alone', flow(orders, json(Event), counts, consoleSink())],
  ['beside a source without topics', flow(merge(posted, from(orders, json(Event))), total, consoleSink())],
  ['when nothing but a source without topics is left', flow(posted, total, consoleSink())],
])(
  'a topic that a flow has positions of, and reads no longer, is told of in the log and counted: %s',
  async (_, changed) => {
    const checkpoints = new MemoryCheckpoints()
    const known = changed.inputs.map(({ source }) => (source === posted ? 'posted' : 'orders'))
    const read = ['sales', ...known].map((topic) => ({ topic, partition: 0 }))
    const taken = await lastValueFrom(checkpoints.acquire('shop.flow', read))
    // Facts are of topics alone.
    const progressOf = (topic: string) => ({ position: 5, ...(topic === 'sales' ? { facts: { partitions: 1 } } : {}) })
    const partitions = taken.map((one) => ({ ...one, chunks: [], progress: progressOf(one.topic) }))
    await lastValueFrom(checkpoints.begin().commit({ task: 'shop.flow', partitions }), { defaultValue: undefined })

    const told: unknown[] = []
    const warnings: string[] = []
    const warn = (...said: readonly unknown[]) => void warnings.push(String(said.at(-1)))
    const log: Logger = { ...silentLogger, warn, child: () => log }
    const observer: Observer = { topic: (change) => void told.push(change) }
    const engine = new Engine(compiled(config(changed, { app: 'shop' })), {
      clock: systemClock,
      log,
      http: { serve: () => NEVER },
      production: false,
      dataDirectory: '.',
      checkpoints,
      observer,
    })
    const running = engine.run().subscribe()
    await until(() => told.length > 0, 'it is told')
    running.unsubscribe()
    await engine.close()
    expect(told).toEqual([{ flow: 'flow', topic: 'sales', change: 'forgotten' }])
    expect(warnings.filter((text) => text.includes('read no longer'))).toEqual([
      "topic 'sales' is read no longer: nobody waits for it, and what it brought stays",
    ])
  },
)
