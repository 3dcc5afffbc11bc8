/** A worker for tests that kill it: archives the events of a topic as files. */
import { kafka } from '../../src/connectors/kafka.js'
import { flow } from '../../src/engine/flow-builders.js'
import { cloudEvents } from '../../src/operators/cloud-events.js'
import { sink } from '../../src/sinks/archive.js'
import { client, runWorker } from './worker-process.js'

const { BROKERS = '', APP = '', IN = '', STORE = '{}', DATA = '.', EVERY = '1500' } = process.env

const config = {
  app: APP,
  connections: { kafka: kafka({ brokers: BROKERS, client }) },
  checkpoints: 'kafka',
  flows: {
    archive: flow(
      kafka.source({ topic: IN, group: APP }),
      cloudEvents.decode({ data: 'raw' }),
      sink({ store: JSON.parse(STORE), maxRecords: 500, every: Number(EVERY), time: 'arrival' }),
    ).with({ epoch: { every: '150ms', maxRecords: 200 }, attempts: 1_000 }),
  },
}
await runWorker(config, { dataDirectory: DATA })
process.exit(0)
