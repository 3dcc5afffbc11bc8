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

function run(stage: string | undefined, checkpoints: MemoryCheckpoints, givesUp: readonly string[] = []) {
  const byUser = keyBy(({ user }: { user: string }) => user)
  const parsed = json<{ user: string }>()
  const declared =
    stage === undefined
      ? flow(orders, parsed, byUser, consoleSink())
      : flow(orders, parsed, byUser, aggregate(stage, { of: count(), maxKeys: 10 }), consoleSink())
  const engine = new Engine(compiled(config(declared.with({ givesUp }), { app: 'shop' })), {
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

test('a flow whose last stage with state was removed is refused, too', async () => {
  const { engine, running } = run(undefined, await leave('counts'))
  await until(() => engine.status()[0]?.state === 'failed', 'it is refused')
  expect(engine.status()[0]?.error).toMatchObject({
    code: 'WEIR_CHECKPOINT_UNKNOWN_STORE',
    message: expect.stringContaining("no longer has the stage 'counts'"),
  })
  running.unsubscribe()
  await engine.close()
})

test.each([
  ['the same name', 'counts', []],
  ['no state any more, where it is given up', undefined, ['counts']],
  ['state that is given up', 'visits', ['counts']],
])('%s is none', async (_, stage, givesUp) => {
  const { engine, running } = run(stage, await leave('counts'), givesUp)
  await until(() => engine.status()[0]?.error?.code !== undefined, 'there is no broker')
  expect(engine.status()[0]?.error?.code).not.toBe('WEIR_CHECKPOINT_UNKNOWN_STORE')
  running.unsubscribe()
  await engine.close()
})
