/** A worker for tests that kill it: archives the events of a topic as files. */
import { lastValueFrom } from 'rxjs'
import { kafka } from '../../src/connectors/kafka.js'
import { flow } from '../../src/engine/flow-builders.js'
import { compile, Engine } from '../../src/engine/index.js'
import { silentLogger, systemClock } from '../../src/model/index.js'
import { cloudEvents } from '../../src/operators/cloud-events.js'
import { sink } from '../../src/sinks/archive.js'

const { BROKERS = '', APP = '', IN = '', STORE = '{}', DATA = '.', EVERY = '1500' } = process.env

const log = {
  ...silentLogger,
  warn: (...words: unknown[]) => console.error('warn', ...words),
  error: (...words: unknown[]) => console.error('error', ...words),
  child: () => log,
}
const client = { 'session.timeout.ms': 1_500, 'heartbeat.interval.ms': 300 }
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
const engine = new Engine(compile(config, { environment: {} }), {
  clock: systemClock,
  log,
  http: undefined as never,
  production: false,
  dataDirectory: DATA,
  observer: { epoch: ({ records }) => records > 0 && process.stdout.write('.') },
})
process.once('SIGTERM', () => engine.stop())
await lastValueFrom(engine.run(), { defaultValue: undefined })
await engine.close()
process.exit(0)
