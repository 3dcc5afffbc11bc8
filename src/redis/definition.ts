import { defineConnection } from '../model/index.js'
import { RedisCheckpoints } from './checkpoints.js'
import { RedisConnection } from './connection.js'
import { connectionOptions } from './options.js'

/** Declares a Redis server, to keep checkpoints in. */
export const redisConnection = defineConnection({
  kind: 'redis',
  summary: 'A Redis server, 6.2 or later.',
  options: connectionOptions,
  open: (options, context) => new RedisConnection(options, context),
  checkpoints: (connection, { log }) => new RedisCheckpoints(connection, log),
})
