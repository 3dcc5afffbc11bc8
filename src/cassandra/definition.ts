import { defineConnection } from '../model/index.js'
import { CassandraConnection } from './connection.js'
import { connectionOptions } from './options.js'
import { CassandraViews } from './views.js'

/** Declares a Cassandra cluster, and a keyspace of it. Needs the package `cassandra-driver`. */
export const cassandraConnection = defineConnection({
  kind: 'cassandra',
  summary: 'A keyspace of a Cassandra cluster. Needs the package `cassandra-driver`.',
  options: connectionOptions,
  open: (options, context) => new CassandraConnection(options, context),
  views: (connection, { clock }) => new CassandraViews(connection, clock),
})
