import { lastValueFrom, NEVER } from 'rxjs'
import { expect, test } from 'vitest'
import { Engine } from '../../src/engine/index.js'
import { aggregate, consoleSink, count, flow, json, keyBy } from '../../src/index.js'
import { type AcquiredPartition, silentLogger, systemClock } from '../../src/model/index.js'
import { MemoryCheckpoints, TaskStores } from '../../src/state/index.js'
import { compiled, config, orders } from '../support/compiling.js'
import { until } from '../support/job.js'

const codec = { version: 1, save: (value: number) => value, load: (saved: unknown) => saved as number }

/** The state of a stage behind an internal topic, as a process left it. */
async function leave(stage: string): Promise<MemoryCheckpoints> {
  const checkpoints = new MemoryCheckpoints()
  const task = `shop.flow.${stage}`
  const partition = { topic: `${task}.repartition`, partition: 0 }
  const [taken] = await lastValueFrom(checkpoints.acquire(task, [partition]))
  const stores = new TaskStores()
  const kept = [stage, `${stage}.sources`].map((name) => stores.declare(name, codec))
  stores.assign(taken as AcquiredPartition)
  for (const store of kept) store.of(partition.topic, 0).add(0, 'ann', 5)
  const commit = { task, partitions: [stores.commit({ ...partition, offset: 9 }, {})] }
  await lastValueFrom(checkpoints.begin().commit(commit), { defaultValue: undefined })
  return checkpoints
}

function run(stage: string, checkpoints: MemoryCheckpoints, givesUp: readonly string[] = []) {
  const byUser = keyBy(({ user }: { user: string }) => user)
  const counted = aggregate(stage, { of: count(), maxKeys: 10 })
  const declared = flow(orders, json<{ user: string }>(), byUser, counted, consoleSink()).with({ givesUp })
  const engine = new Engine(compiled(config(declared, { app: 'shop' })), {
    clock: systemClock,
    log: silentLogger,
    http: { serve: () => NEVER },
    production: false,
    dataDirectory: '.',
    checkpoints,
  })
  return { engine, running: engine.run().subscribe() }
}

test('a renamed store behind an internal topic is refused, as it is by weir plan, and does not begin empty', async () => {
  const { engine, running } = run('visits', await leave('counts'))
  await until(() => engine.status()[0]?.state === 'failed', 'it is refused')
  const { error } = engine.status()[0] ?? {}
  expect(error?.code).toBe('WEIR_CHECKPOINT_UNKNOWN_STORE')
  expect(error?.message).toContain("no longer has the stage 'counts'")
  expect(error?.hint).toContain("givesUp: ['counts']")
  expect(error?.hint).toContain("Was it renamed to 'visits'?")
  running.unsubscribe()
  await engine.close()
})

test.each([
  ['the same name', 'counts', []],
  ['state that is given up', 'visits', ['counts']],
])('%s is none', async (_, stage, givesUp) => {
  const { engine, running } = run(stage, await leave('counts'), givesUp)
  await until(() => engine.status()[0]?.error?.code !== undefined, 'there is no broker')
  expect(engine.status()[0]?.error?.code).not.toBe('WEIR_CHECKPOINT_UNKNOWN_STORE')
  running.unsubscribe()
  await engine.close()
})
