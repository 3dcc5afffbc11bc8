import {
  cassandra,
  defineConfig,
  env,
  eventSchemas,
  kafka,
  mysql,
  postgres,
  redis,
  schemaRegistry,
  secret,
} from 'weirflow'
import { activityIngest } from './src/flows/activity-ingest.js'
import { activityMetrics } from './src/flows/activity-metrics.js'
import { alertWebhook, alertWebhookUrl } from './src/flows/alert-webhook.js'
import { archiveFile } from './src/flows/archive-file.js'
import { archiveGenerator } from './src/flows/archive-generator.js'
import { dataQuality } from './src/flows/data-quality.js'
import { eventArchive } from './src/flows/event-archive.js'
import { eventIntake } from './src/flows/event-intake.js'
import { eventPipeline } from './src/flows/event-pipeline.js'
import { eventProducer } from './src/flows/event-producer.js'
import { lagWatch } from './src/flows/lag-watch.js'
import { seismicAggregate } from './src/flows/seismic-aggregate.js'
import { seismicPersist, seismicPostgres } from './src/flows/seismic-persist.js'
import { seismicProducer } from './src/flows/seismic-producer.js'
import { wikimediaIngest } from './src/flows/wikimedia-ingest.js'
import { wikimediaStats } from './src/flows/wikimedia-stats.js'

export default defineConfig({
  connections: {
    kafka: kafka({
      brokers: env('KAFKA_BROKERS')
        .or(env('REDPANDA_BROKER'))
        .or(archiveFile.at('kafka.bootstrap_servers'))
        .default('embedded'),
      clientId: archiveFile.at('kafka.client_id').optional(),
      securityProtocol: env('KAFKA_SECURITY_PROTOCOL')
        .oneOf('PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL')
        .or(archiveFile.at('kafka.security_protocol'))
        .default('PLAINTEXT'),
      sasl: {
        mechanism: env('KAFKA_SASL_MECHANISM')
          .oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512')
          .or(archiveFile.at('kafka.sasl_mechanism'))
          .optional(),
        username: env('KAFKA_SASL_USERNAME').or(archiveFile.at('kafka.sasl_username')).optional(),
        password: secret('KAFKA_SASL_PASSWORD').or(archiveFile.at('kafka.sasl_password')).optional(),
      },
      ssl: {
        caFile: env('KAFKA_SSL_CA_LOCATION').or(archiveFile.at('kafka.ssl_ca_location')).optional(),
        certFile: env('KAFKA_SSL_CERTIFICATE_LOCATION').or(archiveFile.at('kafka.ssl_certificate_location')).optional(),
        keyFile: env('KAFKA_SSL_KEY_LOCATION').or(archiveFile.at('kafka.ssl_key_location')).optional(),
        passphrase: secret('KAFKA_SSL_KEY_PASSWORD').or(archiveFile.at('kafka.ssl_key_password')).optional(),
      },
    }),
    // DATABASE_URL, or DB_HOST and the rest; without either the embedded Postgres runs.
    db: postgres({
      url: secret('DATABASE_URL').optional(),
      host: env('DB_HOST').optional(),
      port: env('DB_PORT').int().default(5432),
      user: env('DB_USER').optional(),
      password: secret('DB_PASSWORD').optional(),
      database: env('DB_NAME').optional(),
    }),
    // For checkpoints and views, where WEIR_CHECKPOINTS or STORAGE asks for it; nobody connects to it otherwise.
    redis: redis({ url: secret('REDIS_URL').default('redis://127.0.0.1:6379') }),
    cassandra: cassandra({
      contactPoints: env('CASSANDRA_CONTACT_POINTS').list().default(['127.0.0.1']),
      localDataCenter: env('CASSANDRA_DATA_CENTER').default('datacenter1'),
      keyspace: env('CASSANDRA_KEYSPACE').default('wikimedia'),
      replication: env('CASSANDRA_REPLICATION').int().default(1),
      username: env('CASSANDRA_USERNAME').optional(),
      password: secret('CASSANDRA_PASSWORD').optional(),
    }),
    mysql: mysql({ url: secret('MYSQL_URL').default('mysql://root@127.0.0.1:3306/seismic') }),
    // Without a URL values are plain JSON.
    registry: schemaRegistry({ url: env('SCHEMA_REGISTRY_URL').default('') }),
    // Of the events of the pipeline: a folder, or a registry's URL.
    schemas: eventSchemas({
      from: env('SCHEMAS').default('schemas'),
      user: env('SCHEMAS_USER').optional(),
      password: secret('SCHEMAS_PASSWORD').optional(),
    }),
  },
  checkpoints: 'db',
  flows: {
    'activity-ingest': activityIngest,
    'activity-metrics': activityMetrics,
    'seismic-producer': seismicProducer,
    'seismic-aggregate': seismicAggregate,
    'seismic-persist': seismicPersist,
    'seismic-postgres': seismicPostgres,
    'wikimedia-ingest': wikimediaIngest,
    'wikimedia-stats': wikimediaStats,
    'archive-generator': archiveGenerator,
    'event-archive': eventArchive,
    'event-intake': eventIntake,
    'event-producer': eventProducer,
    'event-pipeline': eventPipeline,
    'data-quality': dataQuality,
    'lag-watch': lagWatch,
    'alert-webhook': alertWebhook,
  },
  // The other systems run where they are named: `weir run seismic-producer`.
  run: ['activity-ingest', 'activity-metrics'],
  systems: {
    activity: ['activity-ingest', 'activity-metrics'],
    seismic: [
      'seismic-producer',
      'seismic-aggregate',
      // Where no MySQL is named, rows go to Postgres.
      secret('MYSQL_URL')
        .map(() => 'seismic-persist')
        .default('seismic-postgres'),
    ],
    wikimedia: ['wikimedia-ingest', 'wikimedia-stats'],
    archive: ['archive-generator', 'event-archive'],
    pipeline: ['event-intake', 'event-producer', 'event-pipeline', 'data-quality'],
    // Alerts are posted where ALERT_WEBHOOK_URL says whereto.
    watch: ['lag-watch', alertWebhookUrl.map(() => 'alert-webhook').optional()],
  },
})
