import { archive, cloudEvents, env, flow, kafka } from 'weirflow'

export const archiveTopics = env('ARCHIVE_TOPICS')
  .list()
  .default(['events'])
  .map((topics) => [...topics])

/**
 * Keeps events for ever, each in one file, whatever crashes.
 *
 *   events ──► cloudEvents.decode ──► files by topic, schema version, day and partition
 *
 * ARCHIVE_TOPICS are read as ARCHIVE_GROUP_ID, and written below ARCHIVE_PATH as ARCHIVE_FORMAT (parquet or avro) with
 * ARCHIVE_COMPRESSION (none, snappy, gzip, zstd). A file is complete after ARCHIVE_MAX_RECORDS, ARCHIVE_MAX_BYTES or
 * ARCHIVE_EVERY_SEC. What is no CloudEvent goes to the dead letters, with every fault named.
 */
export const eventArchive = flow(
  kafka.source({
    topic: archiveTopics,
    group: env('ARCHIVE_GROUP_ID').default('event-archive'),
    partitions: 3,
    // Whichever flow of the system comes first makes the topic.
    create: true,
  }),
  cloudEvents.decode({ data: 'raw' }),
  archive.sink({
    store: { backend: 'file', path: env('ARCHIVE_PATH').default('.weir/archive') },
    format: env('ARCHIVE_FORMAT').oneOf('parquet', 'avro').default('parquet'),
    compression: env('ARCHIVE_COMPRESSION').oneOf('none', 'snappy', 'gzip', 'zstd').default('zstd'),
    maxRecords: env('ARCHIVE_MAX_RECORDS').int().default(1_000_000),
    maxBytes: env('ARCHIVE_MAX_BYTES').int().default(134_217_728),
    every: env('ARCHIVE_EVERY_SEC')
      .int()
      // For those who watch.
      .or(env('DEMO_EVERY_SEC').int())
      .default(300)
      .map((seconds) => seconds * 1_000),
  }),
).with({ checkpoints: 'kafka' })
