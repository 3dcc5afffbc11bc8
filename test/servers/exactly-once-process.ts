/**
 * A worker for tests that kill it: numbers the records of each key, and writes key and number to another topic, exactly
 * once. Without STATEFUL it passes the values on. DIE names the moment of the third commit at which it kills itself.
 */
import { concat, defer, EMPTY, lastValueFrom, map } from 'rxjs'
import { z } from 'zod'
import { kafka } from '../../src/connectors/kafka.js'
import { compile, Engine, Flow } from '../../src/engine/index.js'
import { KafkaCheckpoints } from '../../src/kafka/checkpoints.js'
import { defineOperator, silentLogger, systemClock } from '../../src/model/index.js'
import { connect } from './kafka-support.js'

const { BROKERS = '', APP = '', IN = '', OUT = '', STATEFUL, DIE } = process.env

const number = defineOperator({
  name: 'number',
  summary: 'Numbers the records of each key.',
  options: z.strictObject({}),
  stores: () => ['numbers'],
  build: (_, context) => {
    const store = context.store<number>('numbers', {
      version: 1,
      save: (value) => value,
      load: (saved) => saved as number,
    })
    return map((record) => {
      const key = String(record.key)
      const part = store.of(record.origin.topic, record.origin.partition)
      const entry = part.get(0, key) ?? part.add(0, key, 0)
      entry.value++
      part.touch(entry)
      return record.with(`${key} ${entry.value}`)
    })
  },
})

const flow = new Flow(
  [
    {
      source: kafka.source({
        topic: IN,
        group: APP,
        client: { 'session.timeout.ms': 1_500, 'heartbeat.interval.ms': 300 },
      }),
      stages: [],
    },
  ],
  STATEFUL === undefined ? [] : [number.declare({})],
  kafka.sink({ topic: OUT }),
  { guarantee: 'exactly-once', checkpoints: 'kafka', epoch: { every: '150ms' }, attempts: 1_000 },
)

/** Dies before, during or after the third commit. */
class Mortal extends KafkaCheckpoints {
  private commits = 0

  override begin(task?: string) {
    const transaction = super.begin(task)
    const commit = transaction.commit.bind(transaction)
    const die = () => process.kill(process.pid, 'SIGKILL')
    transaction.commit = (of) =>
      defer(() => {
        if (DIE === undefined || ++this.commits !== 3) return commit(of)
        if (DIE === 'before') die()
        if (DIE === 'after')
          return concat(
            commit(of),
            defer(() => (die(), EMPTY)),
          )
        setTimeout(die, Number(DIE))
        return commit(of)
      })
    return transaction
  }
}

const log = {
  ...silentLogger,
  warn: (...words: unknown[]) => console.error('warn', ...words),
  error: (...words: unknown[]) => console.error('error', ...words),
  child: () => log,
}
const config = { app: APP, connections: { kafka: kafka({ brokers: BROKERS }) }, flows: { flow } }
const connection = connect(BROKERS)
const engine = new Engine(compile(config, { environment: {} }), {
  clock: systemClock,
  log,
  http: undefined as never,
  production: false,
  dataDirectory: '.',
  checkpoints: new Mortal(connection),
  observer: { epoch: ({ records }) => records > 0 && process.stdout.write('.') },
})
process.once('SIGTERM', () => engine.stop())
await lastValueFrom(engine.run(), { defaultValue: undefined })
await engine.close()
await connection.close()
process.exit(0)
