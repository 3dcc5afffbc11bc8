import { redis } from '../../src/connectors/redis.js'
import { type ConnectionContext, silentLogger, systemClock } from '../../src/model/index.js'
import type { RedisConnection } from '../../src/redis/connection.js'

/** Opens a connection as the engine would. */
export function openRedis(given: unknown, context: Partial<ConnectionContext> = {}): RedisConnection {
  const { definition } = redis
  return definition.open(definition.options.parse(given), {
    app: 'test',
    name: 'redis',
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: '',
    ...context,
  })
}
