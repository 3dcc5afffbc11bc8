import { defineConnection } from '../model/index.js'
import { RedisCheckpoints } from './checkpoints.js'
import { RedisConnection } from './connection.js'
import { connectionOptions } from './options.js'
import { RedisViews } from './views.js'

/** Declares a Redis server, a cluster, or a server with sentinels. */
export const redisConnection = defineConnection({
  kind: 'redis',
  summary: 'Redis 6.2 or later: a server, a cluster, or a server with sentinels.',
  options: connectionOptions,
  open: (options, context) => new RedisConnection(options, context),
  checkpoints: (connection, { log }) => new RedisCheckpoints(connection, log),
  views: (connection) => new RedisViews(connection),
  // A script reaches the keys of one node only.
  isJoinable: ({ cluster }) => cluster === undefined,
})
