import { archive, cloudEvents, env, flow, kafka, secret } from 'weirflow'
import { archiveFile as file } from './archive-file.js'

export const archiveTopics = env('ARCHIVE_TOPICS')
  .or(file.at('topics'))
  .or(file.at('consumer.topics'))
  .or(file.at('kafka.topics'))
  .or(file.at('kafka.consumer.topics'))
  .list()
  .default(['events'])

const consumer = file.at('consumer').or(file.at('kafka.consumer'))
const offsetReset = { earliest: 'earliest', latest: 'latest', none: 'committed' } as const

const format = env('ARCHIVE_FORMAT').oneOf('parquet', 'avro').or(file.at('storage.format')).default('parquet')
const compression = env('ARCHIVE_COMPRESSION')
  .oneOf('none', 'snappy', 'gzip', 'zstd')
  .or(file.at('storage.compression'))
const codecs = { null: 'none', snappy: 'snappy', deflate: 'gzip', zstandard: 'zstd' } as const

/** Folders below a bucket have no slash at their ends. */
const prefix = (path: string) => path.replace(/^\/+|\/+$/g, '')
const basePath = env('ARCHIVE_PATH')
const usualPath = file.at('storage.base_path')

/** A connection string, or the URL of the account. */
const azureAccount = secret('AZURE_STORAGE_CONNECTION_STRING')
  .or(secret('AZURE_STORAGE_URL'))
  .or(file.at('storage.azure.connection_string'))
  .or(file.at('storage.azure.url'))
  .or(
    file.at('storage.azure').map(({ account_name: name, account_key: key }) => {
      if (name === undefined) return undefined
      return key === undefined
        ? `https://${name}.blob.core.windows.net`
        : `DefaultEndpointsProtocol=https;AccountName=${name};AccountKey=${key};EndpointSuffix=core.windows.net`
    }),
  )
const isUrl = (account = '') => /^https?:/.test(account)

/** Only the store that is chosen is read. */
const store = env('ARCHIVE_BACKEND')
  .or(file.at('storage.backend'))
  .default('file')
  .choose({
    file: {
      backend: 'file',
      path: basePath.or(file.at('storage.file.base_path')).or(usualPath).default('.weir/archive'),
    },
    s3: {
      backend: 's3',
      bucket: env('S3_BUCKET').or(file.at('storage.s3.bucket')),
      prefix: basePath
        .or(file.at('storage.s3.base_path'))
        .or(file.at('storage.s3.prefix'))
        .or(usualPath)
        .default('')
        .map(prefix),
      region: env('AWS_REGION').or(file.at('storage.s3.region')).optional(),
      endpoint: env('S3_ENDPOINT').or(file.at('storage.s3.endpoint')).optional(),
      pathStyle: env('S3_PATH_STYLE').boolean().or(file.at('storage.s3.use_path_style')).optional(),
      // Without a key the SDK looks where it always does.
      accessKeyId: env('AWS_ACCESS_KEY_ID').or(file.at('storage.s3.access_key_id')).optional(),
      secretAccessKey: secret('AWS_SECRET_ACCESS_KEY').or(file.at('storage.s3.secret_access_key')).optional(),
      sessionToken: secret('AWS_SESSION_TOKEN').or(file.at('storage.s3.session_token')).optional(),
    },
    azure: {
      backend: 'azure',
      container: env('AZURE_STORAGE_CONTAINER').or(file.at('storage.azure.container')),
      prefix: basePath
        .or(file.at('storage.azure.base_path'))
        .or(file.at('storage.azure.prefix'))
        .or(usualPath)
        .default('')
        .map(prefix),
      connectionString: azureAccount.map((account) => (isUrl(account) ? undefined : account)).optional(),
      url: azureAccount.map((account) => (isUrl(account) ? account : undefined)).optional(),
    },
    gcs: {
      backend: 'gcs',
      bucket: env('GCS_BUCKET').or(file.at('storage.gcs.bucket')),
      prefix: basePath
        .or(file.at('storage.gcs.base_path'))
        .or(file.at('storage.gcs.prefix'))
        .or(usualPath)
        .default('')
        .map(prefix),
      endpoint: env('GCS_ENDPOINT').or(file.at('storage.gcs.endpoint')).optional(),
      keyFile: env('GOOGLE_APPLICATION_CREDENTIALS').or(file.at('storage.gcs.credentials_file')).optional(),
    },
  })

/**
 * Keeps events for ever, each in one file, whatever crashes.
 *
 *   events ──► cloudEvents.decode ──► files by topic, schema version, day and partition
 *
 * ARCHIVE_TOPICS are read as ARCHIVE_GROUP_ID, and written below ARCHIVE_PATH of ARCHIVE_BACKEND (file, s3, azure, gcs) as
 * ARCHIVE_FORMAT (parquet or avro) with ARCHIVE_COMPRESSION (none, snappy, gzip, zstd). A file is complete after
 * ARCHIVE_MAX_RECORDS, ARCHIVE_MAX_BYTES or ARCHIVE_EVERY_SEC. What no variable says config/application.yaml may.
 * What is no CloudEvent goes to the dead letters, with every fault named.
 */
export const eventArchive = flow(
  kafka.source({
    topic: archiveTopics,
    group: env('ARCHIVE_GROUP_ID')
      .or(file.at('consumer.group_id'))
      .or(file.at('kafka.consumer.group_id'))
      .default('event-archive'),
    from: file
      .at('consumer.auto_offset_reset')
      .or(file.at('kafka.consumer.auto_offset_reset'))
      .map((reset) => offsetReset[reset])
      .default('earliest'),
    client: consumer
      .map(({ session_timeout_ms, heartbeat_interval_ms, max_poll_interval_ms }) => ({
        ...(session_timeout_ms && { 'session.timeout.ms': session_timeout_ms }),
        ...(heartbeat_interval_ms && { 'heartbeat.interval.ms': heartbeat_interval_ms }),
        ...(max_poll_interval_ms && { 'max.poll.interval.ms': max_poll_interval_ms }),
      }))
      .default({}),
    partitions: 3,
    // Whichever flow of the system comes first makes the topic.
    create: true,
  }),
  cloudEvents.decode({ data: 'raw' }),
  archive.sink({
    store,
    format,
    compression: format.choose({
      parquet: compression.or(file.at('parquet.compression')).default('zstd'),
      avro: compression.or(file.at('avro.codec').map((codec) => codecs[codec])).default('zstd'),
    }),
    maxRecords: env('ARCHIVE_MAX_RECORDS')
      .int()
      .or(file.at('storage.max_records'))
      .or(file.at('file_rotation.max_records_per_file'))
      .default(1_000_000),
    maxBytes: env('ARCHIVE_MAX_BYTES')
      .int()
      .or(file.at('storage.max_bytes'))
      .or(file.at('file_rotation.max_file_size_mb').map((size) => Math.ceil(size * 1_048_576)))
      .default(134_217_728),
    every: env('ARCHIVE_EVERY_SEC')
      .int()
      .or(file.at('storage.every_sec'))
      .or(file.at('file_rotation.max_duration_seconds'))
      // For those who watch.
      .or(env('DEMO_EVERY_SEC').int())
      .default(300)
      .map((seconds) => seconds * 1_000),
  }),
).with({ checkpoints: 'kafka' })
