import { defineConnection } from '../model/index.js'
import { mysqlCheckpoints } from './checkpoint-tables.js'
import { MysqlConnection } from './connection.js'
import { connectionOptions } from './options.js'

/** Declares a MySQL or MariaDB database. Needs the package `mysql2`. */
export const mysqlConnection = defineConnection({
  kind: 'mysql',
  summary: 'A MySQL or MariaDB database. Needs the package `mysql2`.',
  options: connectionOptions,
  open: (options, context) => new MysqlConnection(options, context),
  checkpoints: mysqlCheckpoints,
})
