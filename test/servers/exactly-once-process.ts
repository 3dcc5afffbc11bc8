/**
 * A worker for tests that kill it: works on the records of a topic and writes results to another, exactly once. FLOW says
 * which results. DIE names the moment of the third commit at which it kills itself.
 */
import { concat, defer, EMPTY, map as mapEach } from 'rxjs'
import { z } from 'zod'
import { count } from '../../src/aggregates/index.js'
import { kafka } from '../../src/connectors/kafka.js'
import { flow } from '../../src/engine/flow-builders.js'
import type { Flow } from '../../src/engine/index.js'
import { KafkaCheckpoints } from '../../src/kafka/checkpoints.js'
import { defineOperator, retry } from '../../src/model/index.js'
import { aggregate, recordKey } from '../../src/operators/aggregate.js'
import { eventTime } from '../../src/operators/event-time.js'
import { keyBy } from '../../src/operators/key-by.js'
import { map } from '../../src/operators/map.js'
import { tumbling } from '../../src/operators/windows.js'
import { connect } from './kafka-support.js'
import { client, runWorker } from './worker-process.js'

const { BROKERS = '', APP = '', IN = '', OUT = '', FLOW = '', DIE } = process.env

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
    return mapEach((record) => {
      const key = String(record.key)
      const part = store.of(record.origin.topic, record.origin.partition)
      const entry = part.get(0, key) ?? part.add(0, key, 0)
      entry.value++
      part.touch(entry)
      return record.with(`${key} ${entry.value}`)
    })
  },
})

const source = kafka.source({ topic: IN, group: APP })
const sink = kafka.sink({ topic: OUT })

const flows: Readonly<Record<string, () => Flow>> = {
  /** The values as they are. */
  pass: () => flow(source, sink),
  /** Key and number of each record. */
  number: () => flow(source, number.declare({}), sink),
  /** The values as they are; every third is tried once more, and every third of the others twice. */
  retried: () =>
    flow(
      source,
      map(
        (value, { origin }) => {
          const fails = Number(String(value).split(' ')[1]) % 3
          if ((origin.retried?.attempts ?? 0) < fails) throw new Error('away')
          return value
        },
        { onError: retry({ tiers: ['400ms', '900ms'] }) },
      ),
      sink,
    ),
  /** How many records there are of each second and group of keys: by two tasks, with an internal topic between them. */
  windows: () =>
    flow(
      source,
      eventTime((_, { timestamp }) => timestamp, { idleAfter: '1s' }),
      keyBy((_, { key }) => `group-${Number(String(key).slice(1)) % 3}`),
      aggregate('by-group', { by: recordKey, window: tumbling('1s'), of: { n: count() } }),
      map(({ key, window, value }) => `${String(key)}@${window.start.getTime()} ${value.n}`),
      sink,
    ),
}

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

const options = { guarantee: 'exactly-once', checkpoints: 'kafka', epoch: { every: '150ms' }, attempts: 1_000 } as const
const config = {
  app: APP,
  connections: { kafka: kafka({ brokers: BROKERS, client }) },
  flows: { flow: flows[FLOW]!().with(options) },
}
const connection = connect(BROKERS)
await runWorker(config, { checkpoints: new Mortal(connection) })
await connection.close()
process.exit(0)
