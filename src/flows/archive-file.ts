import { env, yaml } from 'weirflow'
import { z } from 'zod'

const text = z.string().min(1)
const count = z.int().min(1)
const names = z.union([text, z.array(text).min(1)], 'expected a name, or a list of names')
const url = z.url({ protocol: /^https?$/, error: 'expected a URL, with https:// or http://' }).optional()
/** Words, of which capital letters don't matter. */
const lower = <const C extends string>(...choices: C[]) => z.string().toLowerCase().pipe(z.enum(choices)).optional()
const upper = <const C extends string>(...choices: C[]) => z.string().toUpperCase().pipe(z.enum(choices)).optional()

/** It may be there, and changes nothing: docs/archive.md says why. */
const withoutEffect = z.unknown().optional()

const Consumer = z.strictObject({
  group_id: text.optional(),
  topics: names.optional(),
  auto_offset_reset: lower('earliest', 'latest', 'none').optional(),
  session_timeout_ms: count.optional(),
  heartbeat_interval_ms: count.optional(),
  max_poll_interval_ms: count.optional(),
  enable_auto_commit: withoutEffect,
  max_poll_records: withoutEffect,
})

const Kafka = z
  .strictObject({
    bootstrap_servers: names.optional(),
    client_id: text.optional(),
    security_protocol: upper('PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'),
    sasl_mechanism: upper('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'),
    sasl_username: text.optional(),
    sasl_password: text.optional(),
    ssl_ca_location: text.optional(),
    ssl_certificate_location: text.optional(),
    ssl_key_location: text.optional(),
    ssl_key_password: text.optional(),
    topics: names.optional(),
    consumer: Consumer.optional(),
    dlq: withoutEffect,
  })
  // Others have a mechanism by default, and beside a protocol without a login it says nothing.
  .transform(({ sasl_mechanism, ...kafka }) => ({
    ...kafka,
    ...(sasl_mechanism && !/^(PLAINTEXT|SSL)$/.test(kafka.security_protocol ?? '') && { sasl_mechanism }),
  }))

const base = { base_path: text.optional(), prefix: z.string().optional() }
const cut = { max_records: count.optional(), max_bytes: count.optional(), every_sec: count.optional() }

const S3 = z.strictObject({
  ...base,
  bucket: text.optional(),
  region: text.optional(),
  endpoint: url,
  use_path_style: z.boolean().optional(),
  access_key_id: text.optional(),
  secret_access_key: text.optional(),
  session_token: text.optional(),
  sse_kms_key_id: text.optional(),
  sse_enabled: withoutEffect,
})

const Azure = z.strictObject({
  ...base,
  container: text.optional(),
  connection_string: text.optional(),
  url,
  account_name: text.optional(),
  account_key: text.optional(),
  use_managed_identity: withoutEffect,
})

const Gcs = z.strictObject({
  ...base,
  bucket: text.optional(),
  endpoint: url,
  credentials_file: text.optional(),
  credentials_json: text.optional(),
  project_id: withoutEffect,
  use_default_credential: withoutEffect,
})

const Storage = z.strictObject({
  backend: lower('file', 's3', 'azure', 'gcs'),
  format: lower('parquet', 'avro'),
  compression: lower('none', 'snappy', 'gzip', 'zstd'),
  ...cut,
  base_path: text.optional(),
  file: z.strictObject({ base_path: text.optional() }).optional(),
  s3: S3.optional(),
  azure: Azure.optional(),
  gcs: Gcs.optional(),
  path_template: withoutEffect,
})

const Rotation = z.strictObject({
  max_records_per_file: count.optional(),
  max_file_size_mb: z.number().positive().optional(),
  max_duration_seconds: count.optional(),
  strategy: lower('any'),
})

interface Refusal {
  readonly path: string
  readonly message: string
  readonly hint: string
  /** Whether it applies to a file. */
  applies(valueAt: (path: string) => unknown): boolean
}

/** Where each of these may stand; where it stands in several places, it has to be the same. */
const alike = [
  ['topics', 'consumer.topics', 'kafka.topics', 'kafka.consumer.topics'],
  ['consumer.group_id', 'kafka.consumer.group_id'],
  ['consumer.auto_offset_reset', 'kafka.consumer.auto_offset_reset'],
  ['storage.max_records', 'file_rotation.max_records_per_file'],
  ['storage.every_sec', 'file_rotation.max_duration_seconds'],
]

const contradictions = alike.flatMap((paths) =>
  paths.flatMap((path, index) =>
    paths.slice(0, index).map(
      (other): Refusal => ({
        path,
        message: `says something else than '${other}'`,
        hint: 'Keep one of them.',
        applies: (valueAt) => differ(valueAt(path), valueAt(other)),
      }),
    ),
  ),
)

const refusals: readonly Refusal[] = [
  ...contradictions,
  {
    path: 'storage.s3.sse_kms_key_id',
    message: 'can not be passed on',
    hint: 'Make it the default encryption of the bucket.',
    applies: (valueAt) => valueAt('storage.backend') === 's3',
  },
  {
    path: 'storage.gcs.credentials_json',
    message: 'can not be read',
    hint: 'Write it to a file, and name that: credentials_file.',
    applies: (valueAt) => valueAt('storage.backend') === 'gcs',
  },
  {
    path: 'storage.azure.account_key',
    message: 'belongs to no account',
    hint: 'Name it: account_name.',
    applies: (valueAt) => valueAt('storage.azure.account_name') === undefined,
  },
]

const ArchiveFile = refusals.reduce(
  (schema, { path, message, hint, applies }) =>
    schema.refine(
      (file) => at(file, path) === undefined || !applies((other) => at(file, other)),
      // Whatever else is wrong: all is told at once.
      { path: path.split('.'), error: message, params: { hint }, when: () => true },
    ),
  z.strictObject({
    kafka: Kafka.optional(),
    consumer: Consumer.optional(),
    topics: names.optional(),
    storage: Storage.optional(),
    file_rotation: Rotation.optional(),
    parquet: z.looseObject({ compression: lower('none', 'snappy', 'gzip', 'zstd') }).optional(),
    avro: z.looseObject({ codec: lower('null', 'snappy', 'deflate', 'zstandard') }).optional(),
    application: withoutEffect,
    processing: withoutEffect,
    retry: withoutEffect,
    observability: withoutEffect,
    shutdown: withoutEffect,
  }),
)

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value)
}

function differ(a: unknown, b: unknown): boolean {
  return a !== undefined && b !== undefined && comparable(a) !== comparable(b)
}

/** A list is as good as its names with commas. */
function comparable(value: unknown): string {
  return String(value)
    .split(',')
    .map((item) => item.trim())
    .join()
}

/**
 * What is configured in config/application.yaml, or in the file that ARCHIVE_CONFIG names. Variables go before it.
 * docs/archive.md has all of its keys.
 */
export const archiveFile = yaml(env('ARCHIVE_CONFIG').default('config/application.yaml'), ArchiveFile)
