import { defineConfig, env, kafka, postgres, redis, secret } from 'weirflow'
import { activityIngest } from './src/flows/activity-ingest.js'
import { activityMetrics } from './src/flows/activity-metrics.js'

export default defineConfig({
  connections: {
    kafka: kafka({ brokers: env('KAFKA_BROKERS').default('embedded') }),
    // DATABASE_URL, or DB_HOST and the rest; without either the embedded Postgres runs.
    db: postgres({
      url: secret('DATABASE_URL').optional(),
      host: env('DB_HOST').optional(),
      port: env('DB_PORT').int().default(5432),
      user: env('DB_USER').optional(),
      password: secret('DB_PASSWORD').optional(),
      database: env('DB_NAME').optional(),
    }),
    // For checkpoints, where WEIR_CHECKPOINTS asks for it; nobody connects to it otherwise.
    redis: redis({ url: secret('REDIS_URL').default('redis://127.0.0.1:6379') }),
  },
  checkpoints: 'db',
  flows: {
    'activity-ingest': activityIngest,
    'activity-metrics': activityMetrics,
  },
})
