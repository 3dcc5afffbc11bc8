/**
 * A worker for tests that kill it: archives the events of a topic as files. With HURRY its clock is so many times as fast, and
 * it tells on the error output what its probes would; with TELL it tells how far it has read.
 */
import { kafka } from '../../src/connectors/kafka.js'
import { flow } from '../../src/engine/flow-builders.js'
import type { Engine } from '../../src/engine/index.js'
import { cloudEvents } from '../../src/operators/cloud-events.js'
import { sink } from '../../src/sinks/archive.js'
import { ailments, isReady } from '../../src/worker/health.js'
import { hastyClock } from '../support/hasty-clock.js'
import { client, runWorker } from './worker-process.js'

const {
  BROKERS = '',
  APP = '',
  IN = '',
  STORE = '{}',
  DATA = '.',
  EVERY = '1500',
  FORMAT = 'parquet',
  COMPRESSION = 'zstd',
  MAX_RECORDS = '500',
  HURRY,
  TELL,
} = process.env

const config = {
  app: APP,
  connections: { kafka: kafka({ brokers: BROKERS, client }) },
  checkpoints: 'kafka',
  flows: {
    archive: flow(
      kafka.source({ topic: IN, group: APP }),
      cloudEvents.decode({ data: 'raw' }),
      sink({
        store: JSON.parse(STORE),
        format: FORMAT as 'parquet',
        compression: COMPRESSION as 'zstd',
        maxRecords: Number(MAX_RECORDS),
        every: Number(EVERY),
        time: 'arrival',
      }),
    ).with({ epoch: { every: '150ms', maxRecords: 200 }, attempts: 1_000 }),
  },
}
const clock = HURRY === undefined ? undefined : hastyClock(Number(HURRY))

/** What `/health` and `/ready` say, whenever it is something else. */
function watch(engine: Engine): void {
  if (TELL !== undefined) tellRead(engine)
  if (clock === undefined) return
  let last = ''
  setInterval(() => {
    const flows = engine.status()
    const ailing = ailments(flows, { now: clock.scheduler.now(), stuckAfterMs: 60_000 })
    const why = flows.map(({ trouble }) => trouble?.message).join()
    const told = `${ailing.length === 0 ? 'healthy' : 'ailing'}, ${isReady(flows) ? 'ready' : `not ready: ${why}`}\n`
    if (told !== last) process.stderr.write(told)
    last = told
  }, 50)
}

function tellRead(engine: Engine): void {
  let last = 0
  setInterval(() => {
    const partitions = engine.status()[0]?.partitions ?? []
    const read = partitions.reduce((sum, { offset }) => sum + offset, 0)
    if (read !== last) process.stderr.write(`read ${read}\n`)
    last = read
  }, 50)
}

await runWorker(config, { dataDirectory: DATA, ...(clock === undefined ? {} : { clock }) }, watch)
process.exit(0)
