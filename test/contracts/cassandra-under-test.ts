import { lastValueFrom } from 'rxjs'
import type { CassandraConnection } from '../../src/cassandra/connection.js'
import { cassandra } from '../../src/connectors/cassandra.js'
import { type ConnectionContext, silentLogger, systemClock } from '../../src/model/index.js'
import { cassandraSink } from '../../src/sinks/cassandra.js'
import { MemoryCheckpoints } from '../../src/state/index.js'
import { SinkHarness } from './sink-harness.js'
import { type Item, oddRows, type TriedSink } from './sinks.contract.js'

/** Opens a connection as the engine would. */
export function openCassandra(given: unknown, context: Partial<ConnectionContext> = {}): CassandraConnection {
  const { definition } = cassandra
  return definition.open(definition.options.parse(given), {
    app: 'weir-test',
    name: 'cassandra',
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: '',
    ...context,
  })
}

export function cassandraHarness(
  connection: CassandraConnection,
  options: Readonly<Record<string, unknown>>,
): SinkHarness {
  const checkpoints = new MemoryCheckpoints()
  return new SinkHarness({ definition: cassandraSink, connection, checkpoints, options, joins: false })
}

/** A table of items for the sink contract. Rows of one bucket lie in one partition. */
export async function cassandraSinkUnderTest(
  connection: CassandraConnection,
  close: () => Promise<void>,
): Promise<TriedSink> {
  const query = <R>(text: string) => lastValueFrom(connection.run((client) => client.query<R>(text)))
  // A partition without a name is what Cassandra refuses.
  const row = ({ id, text, ...more }: Item) => ({
    bucket: text === 'refused' ? '' : `b${Number(id) % 40}`,
    id,
    text,
    ...more,
  })
  const others =
    'u uuid, t timeuuid, a inet, n time, d date, p duration, l list<int>, k list<text>, m map<text, int>, e decimal'
  const create = `CREATE TABLE items (bucket text, id int, text text, ${others}, PRIMARY KEY (bucket, id))`
  const ill = (more: object) => ({ id: 80, text: '', ...more })
  const harness = cassandraHarness(connection, { table: 'items', row, create })
  await harness.open()
  return {
    reset: async () => {
      harness.rejecting.forget()
      await query('TRUNCATE items')
    },
    epoch: (records$) => harness.epoch(records$),
    written: () => query('SELECT id, text FROM items'),
    rejecting: harness.rejecting,
    rejected: harness.rejected,
    bad: { id: -1, text: 'refused' },
    odd: {
      ...oddRows,
      'no uuid': ill({ u: 'abc' }),
      'a uuid of another kind': ill({ t: '8b1a9953-c461-4296-a827-abf8c47804d7' }),
      'a number for a uuid': ill({ u: 7 }),
      'no address': ill({ a: 'somewhere' }),
      'no time of day': ill({ n: 'noon' }),
      'no day': ill({ d: 'today' }),
      'a day beyond its month': ill({ d: '2024-02-30' }),
      'a list of half pairs': ill({ k: ['\uD800'] }),
      'no duration': ill({ p: 'long' }),
      'a list of texts': ill({ l: ['x'] }),
      'no list': ill({ l: 5 }),
      'a map of texts': ill({ m: { a: 'x' } }),
      'no decimal': ill({ e: 'x' }),
    },
    close,
  }
}
