import { lastValueFrom } from 'rxjs'
import type { CassandraConnection } from '../../src/cassandra/connection.js'
import { cassandra } from '../../src/connectors/cassandra.js'
import { type ConnectionContext, silentLogger, systemClock } from '../../src/model/index.js'
import { cassandraSink } from '../../src/sinks/cassandra.js'
import { MemoryCheckpoints } from '../../src/state/index.js'
import { SinkHarness } from './sink-harness.js'
import type { Item, RefusingSink } from './sinks.contract.js'

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
): Promise<RefusingSink> {
  const query = <R>(text: string) => lastValueFrom(connection.run((client) => client.query<R>(text)))
  // A partition without a name is what Cassandra refuses.
  const row = ({ id, text }: Item) => ({ bucket: text === 'refused' ? '' : `b${id % 40}`, id, text })
  const create = 'CREATE TABLE items (bucket text, id int, text text, PRIMARY KEY (bucket, id))'
  const harness = cassandraHarness(connection, { table: 'items', row, create })
  await harness.open()
  return {
    reset: async () => {
      harness.rejected.length = 0
      await query('TRUNCATE items')
    },
    epoch: (records$) => harness.epoch(records$),
    written: () => query('SELECT id, text FROM items'),
    rejected: harness.rejected,
    bad: { id: -1, text: 'refused' },
    close,
  }
}
