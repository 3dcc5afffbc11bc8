import { postgresConnection } from '../postgres/definition.js'
import { sink } from '../sinks/postgres.js'

/** Declares a connection to PostgreSQL, and the stage that uses one: `postgres.sink`. */
export const postgres = Object.assign(postgresConnection, { sink })
