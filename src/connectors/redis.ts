import { redisConnection } from '../redis/definition.js'
import { sink } from '../sinks/redis.js'

/** Declares a connection to Redis, which can keep checkpoints, and the stage that uses one: `redis.sink`. */
export const redis = Object.assign(redisConnection, { sink })
