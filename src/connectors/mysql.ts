import { mysqlConnection } from '../mysql/definition.js'
import { sink } from '../sinks/mysql.js'

/** Declares a connection to MySQL or MariaDB, and the stage that uses one: `mysql.sink`. */
export const mysql = Object.assign(mysqlConnection, { sink })
