import { cassandraConnection } from '../cassandra/definition.js'
import { sink } from '../sinks/cassandra.js'

/** Declares a connection to Cassandra, and the stage that uses one: `cassandra.sink`. */
export const cassandra = Object.assign(cassandraConnection, { sink })
