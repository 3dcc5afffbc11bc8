/**
 * What the adapters of SQL databases share; each folder of a database adds its dialect.
 *
 *   connection, leases   clients of a pool, and who has them
 *   faults               whose fault an error is, and how it is told
 *   transaction          the transaction of an epoch, which sinks join
 *   checkpoints          positions and chunks in tables
 *   table, row-batch     rows of one shape on their way to a table
 *   identifiers, options
 */
/** What a row that no table can take errs with. */
export { UnencodableError } from '../model/index.js'
export * from './checkpoints.js'
export * from './connection.js'
export * from './faults.js'
export * from './identifiers.js'
export * from './leases.js'
export * from './options.js'
export * from './row-batch.js'
export * from './table.js'
export * from './transaction.js'
