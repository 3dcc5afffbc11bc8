import { defineConnection } from '../model/index.js'
import { postgresCheckpoints } from './checkpoint-tables.js'
import { PostgresConnection } from './connection.js'
import { connectionOptions, isEmbedded } from './options.js'
import { postgresViews } from './view-tables.js'

/** Declares a PostgreSQL database; with neither `url` nor `host` an embedded one, kept in the data directory. */
export const postgresConnection = defineConnection({
  kind: 'postgres',
  summary: 'A PostgreSQL database, or an embedded one for trying out.',
  options: connectionOptions,
  isEmbedded,
  open: (options, context) => new PostgresConnection(options, context),
  checkpoints: postgresCheckpoints,
  views: postgresViews,
})
