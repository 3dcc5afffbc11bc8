/** Declares a connection to Redis, which can keep checkpoints. */
export { redisConnection as redis } from '../redis/definition.js'
