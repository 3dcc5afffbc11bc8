import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import shipped from '../../flows.config.js'
import { redactor } from '../../src/config/secrets.js'
import { compile } from '../../src/engine/index.js'
import { eventArchive } from '../../src/flows/event-archive.js'
import { kafka } from '../../src/index.js'
import type { ConnectionOptions } from '../../src/kafka/options.js'
import { securitySettings } from '../../src/kafka/security.js'
import type { Environment } from '../../src/model/index.js'
import { weirIn } from '../support/weir.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

let cwd: string
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'weir-archive-'))
})
afterAll(() => rmSync(cwd, { recursive: true }))

let files = 0
/** A file of that text; its name. */
function file(text: string): string {
  const name = `${files++}.yaml`
  writeFileSync(join(cwd, name), text)
  return name
}

/** What the flow reads and writes by such a file. */
function archiveOf(text: string | undefined, environment: Environment = {}) {
  const named = text === undefined ? {} : { ARCHIVE_CONFIG: join(cwd, file(text)) }
  const topology = compile(
    { connections: { kafka: kafka({ brokers: 'embedded' }) }, flows: { archive: eventArchive } },
    { environment: { ...environment, ...named }, directory: cwd },
  )
  const [part] = topology.flows[0]?.parts ?? []
  const source = part?.inputs[0]?.source.options as Record<string, unknown>
  const sink = (part?.end as { options: Record<string, unknown> }).options
  return { source, sink }
}

describe("the seed's file", () => {
  const quickStart = `
kafka:
  bootstrap_servers: ["localhost:9092"]
  consumer:
    group_id: "event-store-test"
    topics: ["test-topic"]

storage:
  backend: file
  format: parquet
  file:
    base_path: "/tmp/events"
`

  test('works as it stands', () => {
    const { source, sink } = archiveOf(quickStart)
    expect(source).toMatchObject({ topic: ['test-topic'], group: 'event-store-test', from: 'earliest' })
    expect(sink).toMatchObject({
      store: { backend: 'file', path: '/tmp/events' },
      format: 'parquet',
      compression: 'zstd',
      maxRecords: 1_000_000,
      every: 300_000,
    })
  })

  test('may have all of its sections', () => {
    const { source, sink } = archiveOf(
      `
application: { name: kafka-event-store, version: 1.0.0, environment: development }
kafka:
  bootstrap_servers: \${KAFKA_BROKERS}
  security_protocol: PLAINTEXT
  sasl_mechanism: PLAIN
  consumer:
    group_id: \${CONSUMER_GROUP}
    topics: \${TOPICS}
    auto_offset_reset: latest
    enable_auto_commit: false
    max_poll_records: 1000
    max_poll_interval_ms: 300000
    session_timeout_ms: 30000
    heartbeat_interval_ms: 10000
  dlq: { enabled: true, topic_suffix: -dlq, max_retries: 3 }
storage:
  backend: s3
  format: avro
  compression: ""
  path_template: "{base_path}/{topic}"
  s3: { bucket: events, region: eu-west-1, base_path: /archive/, endpoint: "", use_path_style: false, sse_enabled: true, sse_kms_key_id: "" }
  azure: { account_name: "\${ACCOUNT}", container: c, use_managed_identity: true }
  gcs: { bucket: "\${GCS}", project_id: p, base_path: b, credentials_file: "", credentials_json: "", use_default_credential: true }
  file: { base_path: ./events }
file_rotation: { max_file_size_mb: 64, max_records_per_file: 100000, max_duration_seconds: 60, strategy: any }
parquet: { compression: gzip, row_group_size_mb: 100, page_size_kb: 1024, enable_statistics: true, enable_dictionary: true }
avro: { codec: snappy, sync_interval: 16000 }
processing: { buffer_size_mb: 64, buffer_flush_interval_seconds: 60, max_concurrent_uploads: 5, worker_pool_size: 10, checkpoint_dir: "" }
retry: { enabled: true, max_attempts: 5, initial_backoff_ms: 100, max_backoff_ms: 30000, backoff_multiplier: 2.0, jitter: true }
observability:
  logging: { level: info, format: json, output: stdout }
  health: { port: 8080, liveness_path: /health/live }
shutdown: { grace_period_seconds: 30, force_timeout_seconds: 60 }
`,
      { KAFKA_BROKERS: 'b:9092', CONSUMER_GROUP: 'g', TOPICS: 'orders, users' },
    )
    expect(source).toMatchObject({
      topic: ['orders', 'users'],
      group: 'g',
      from: 'latest',
      client: { 'session.timeout.ms': 30_000, 'heartbeat.interval.ms': 10_000, 'max.poll.interval.ms': 300_000 },
    })
    expect(sink).toMatchObject({
      store: { backend: 's3', bucket: 'events', region: 'eu-west-1', prefix: 'archive', pathStyle: false },
      format: 'avro',
      compression: 'snappy',
      maxRecords: 100_000,
      maxBytes: 64 << 20,
      every: 60_000,
    })
    expect(sink['store']).not.toHaveProperty('endpoint', '')
  })
})

describe('keys', () => {
  test.each([
    ['topics: [a, b]'],
    ['topics: a, b'],
    ['consumer: { topics: [a, b] }'],
    ['kafka: { topics: "a,b" }'],
    ['kafka: { consumer: { topics: [a, b] } }'],
    ['topics: [a, b]\nkafka: { topics: "a, b" }'],
  ])('of topics may stand in several places: %s', (text) => {
    expect(archiveOf(text).source['topic']).toEqual(['a', 'b'])
  })

  test.each([
    ['consumer: { group_id: g }', { group: 'g' }],
    ['kafka: { consumer: { group_id: 7 } }', { group: '7' }],
    ['consumer: { auto_offset_reset: Latest }', { from: 'latest' }],
    ['consumer: { auto_offset_reset: none }', { from: 'committed' }],
  ])('of the consumer: %s', (text, options) => {
    expect(archiveOf(text).source).toMatchObject(options)
  })

  test.each<[string, object]>([
    ['storage: { base_path: here }', { store: { backend: 'file', path: 'here' } }],
    ['storage: { format: AVRO, compression: Snappy }', { format: 'avro', compression: 'snappy' }],
    ['storage: { max_records: 5, max_bytes: 6, every_sec: 7 }', { maxRecords: 5, maxBytes: 6, every: 7_000 }],
    ['file_rotation: { max_file_size_mb: 0.5 }', { maxBytes: 524_288 }],
    ['parquet: { compression: gzip }\navro: { codec: deflate }', { compression: 'gzip' }],
    ['storage: { format: avro }\navro: { codec: "null" }', { compression: 'none' }],
    [
      'storage: { backend: S3, s3: { bucket: b, prefix: a/b, endpoint: "http://h:1", access_key_id: i, secret_access_key: s, session_token: t } }',
      {
        store: {
          backend: 's3',
          bucket: 'b',
          prefix: 'a/b',
          endpoint: 'http://h:1',
          accessKeyId: 'i',
          secretAccessKey: 's',
          sessionToken: 't',
        },
      },
    ],
    [
      'storage: { backend: azure, azure: { container: c, account_name: a } }',
      { store: { backend: 'azure', container: 'c', url: 'https://a.blob.core.windows.net' } },
    ],
    [
      'storage: { backend: azure, azure: { container: c, account_name: a, account_key: k== } }',
      {
        store: {
          connectionString:
            'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k==;EndpointSuffix=core.windows.net',
        },
      },
    ],
    [
      'storage: { backend: azure, azure: { container: c, connection_string: UseDevelopmentStorage=true, prefix: p } }',
      { store: { connectionString: 'UseDevelopmentStorage=true', prefix: 'p' } },
    ],
    [
      'storage: { backend: gcs, gcs: { bucket: b, credentials_file: key.json, endpoint: "http://h:1" } }',
      { store: { backend: 'gcs', bucket: 'b', keyFile: 'key.json', endpoint: 'http://h:1', prefix: '' } },
    ],
  ])('of the storage: %s', (text, options) => {
    expect(archiveOf(text).sink).toMatchObject(options)
  })

  test('of the example are all, and what stands there are the defaults', () => {
    const example = readFileSync(join(root, 'config/application.example.yaml'), 'utf8')
    expect(archiveOf(example)).toEqual(archiveOf(undefined))
    const everything = example.replaceAll(/^( *)#(\w+:)/gm, '$1$2')
    const environment = Object.fromEntries([...everything.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => [name, 'x']))
    expect(() => archiveOf(everything, environment)).not.toThrow()
  })
})

describe('the brokers of the shipped configuration', () => {
  function connectionOf(text: string, environment: Environment = {}) {
    const all = { ...environment, ARCHIVE_CONFIG: join(cwd, file(text)) }
    const options = compile(shipped, { environment: all }).connections.get('kafka')?.options as ConnectionOptions
    return { options, settings: securitySettings(options), redact: redactor(shipped, all) }
  }
  const secured = `kafka:
  bootstrap_servers: [a:9093, b:9093]
  client_id: archiver
  security_protocol: sasl_ssl
  sasl_mechanism: SCRAM-SHA-512
  sasl_username: ann
  sasl_password: 0123
`

  test('are those of the file, with its login', () => {
    const { options, settings, redact } = connectionOf(secured)
    expect(options).toMatchObject({ brokers: ['a:9093', 'b:9093'], clientId: 'archiver' })
    expect(settings).toMatchObject({
      'security.protocol': 'sasl_ssl',
      'sasl.mechanism': 'SCRAM-SHA-512',
      'sasl.username': 'ann',
      'sasl.password': '0123',
    })
    expect(redact('ann logs in with 0123')).toBe('ann logs in with [secret]')
  })

  test('are those of the environment before', () => {
    const { options, settings } = connectionOf(secured, { KAFKA_BROKERS: 'c:9092', KAFKA_SASL_PASSWORD: 'other' })
    expect(options.brokers).toBe('c:9092')
    expect(settings).toMatchObject({ 'sasl.username': 'ann', 'sasl.password': 'other' })
  })

  test('have no mechanism without a login', () => {
    const { settings } = connectionOf(
      'kafka: { bootstrap_servers: "a:1", security_protocol: PLAINTEXT, sasl_mechanism: PLAIN }',
    )
    expect(settings).toEqual({ 'security.protocol': 'plaintext' })
  })
})

describe('the environment alone', () => {
  test.each<[Environment, object]>([
    [{ ARCHIVE_PATH: '/data' }, { store: { backend: 'file', path: '/data' } }],
    [
      { ARCHIVE_FORMAT: 'avro', ARCHIVE_COMPRESSION: 'gzip' },
      { format: 'avro', compression: 'gzip' },
    ],
    [
      { ARCHIVE_MAX_RECORDS: '5', ARCHIVE_MAX_BYTES: '6', ARCHIVE_EVERY_SEC: '7' },
      { maxRecords: 5, maxBytes: 6, every: 7_000 },
    ],
    [
      {
        ARCHIVE_BACKEND: 's3',
        S3_BUCKET: 'b',
        ARCHIVE_PATH: 'a/',
        AWS_REGION: 'r',
        S3_ENDPOINT: 'http://h:1',
        S3_PATH_STYLE: 'true',
        AWS_ACCESS_KEY_ID: 'i',
        AWS_SECRET_ACCESS_KEY: 's',
      },
      {
        store: {
          backend: 's3',
          bucket: 'b',
          prefix: 'a',
          region: 'r',
          endpoint: 'http://h:1',
          pathStyle: true,
          accessKeyId: 'i',
          secretAccessKey: 's',
        },
      },
    ],
    [
      {
        ARCHIVE_BACKEND: 'azure',
        AZURE_STORAGE_CONTAINER: 'c',
        AZURE_STORAGE_CONNECTION_STRING: 'UseDevelopmentStorage=true',
      },
      { store: { backend: 'azure', container: 'c', connectionString: 'UseDevelopmentStorage=true' } },
    ],
    [
      { ARCHIVE_BACKEND: 'azure', AZURE_STORAGE_CONTAINER: 'c', AZURE_STORAGE_URL: 'https://a.blob.core.windows.net' },
      { store: { backend: 'azure', url: 'https://a.blob.core.windows.net' } },
    ],
    [
      { ARCHIVE_BACKEND: 'gcs', GCS_BUCKET: 'b', GOOGLE_APPLICATION_CREDENTIALS: 'key.json' },
      { store: { backend: 'gcs', bucket: 'b', keyFile: 'key.json' } },
    ],
  ])('is enough: %o', (environment, options) => {
    expect(archiveOf(undefined, environment).sink).toMatchObject(options)
  })

  test('goes before the file', () => {
    const { source, sink } = archiveOf(
      'topics: a\nconsumer: { group_id: g }\nstorage: { backend: gcs, file: { base_path: p } }',
      {
        ARCHIVE_TOPICS: 'b,c',
        ARCHIVE_GROUP_ID: 'h',
        ARCHIVE_BACKEND: 'file',
        ARCHIVE_PATH: 'q',
      },
    )
    expect(source).toMatchObject({ topic: ['b', 'c'], group: 'h' })
    expect(sink['store']).toMatchObject({ backend: 'file', path: 'q' })
  })
})

describe('weir check', () => {
  /** What it says of the project's own configuration with such a file, and whether it holds. */
  async function check(text: string, environment: Readonly<Record<string, string>> = {}, more: string[] = []) {
    const name = file(text)
    const { code, said } = await weirIn(cwd, ['check', '-c', join(root, 'flows.config.ts'), ...more], {
      ...environment,
      ARCHIVE_CONFIG: join(cwd, name),
    })
    return { code, name, said: said.replaceAll(name, 'application.yaml') }
  }

  const mistaken = `kafka:
  bootstrap_server: kafka:9092
  security_protocol: SASL_SLL
  consumer:
    group: archive
    topics: [orders, users]
topics: orders
storage:
  backend: blob
  fromat: parquet
  compression: 9
  max_records: lots
  every_sec: "300"
  s3:
    endpoint: localhost:9000
    secret_access_key: not-to-be-shown
  gcs: archive
format: avro
file_rotation:
  max_file_size_mb: \${SIZE}
  strategy: all
consumer:
  group_id: \${GROUP:archive}
`

  test('tells all mistakes at once, each with its place, why, and what to do', async () => {
    const { code, said } = await check(mistaken)
    expect(code).toBe(78)
    const blocks = said.split(/\n\n(?=reading )/)
    expect(blocks[0]).toMatch(/^\S*\s*15 faults in the configuration/)
    const faults = blocks.slice(1).map((block) => {
      const [reason = '', where = '', ...rest] = block.trim().split('\n').filter(Boolean)
      const mend = rest.at(-1) ?? ''
      return [where.trim().replace('at ', ''), reason.replace(/^reading \S+: /, ''), mend.trim()]
    })
    expect(faults).toEqual([
      ['application.yaml:2:3', "there is no setting 'kafka.bootstrap_server'", "Did you mean 'bootstrap_servers'?"],
      [
        'application.yaml:3:22',
        "'kafka.security_protocol' has to be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, and is 'SASL_SLL'",
        "Did you mean 'SASL_SSL'?",
      ],
      ['application.yaml:5:5', "there is no setting 'kafka.consumer.group'", "Did you mean 'group_id'?"],
      ['application.yaml:6:13', "'kafka.consumer.topics' says something else than 'topics'", 'Keep one of them.'],
      [
        'application.yaml:9:12',
        "'storage.backend' has to be one of file, s3, azure, gcs, and is 'blob'",
        'Write file or s3 or azure or gcs.',
      ],
      ['application.yaml:10:3', "there is no setting 'storage.fromat'", "Did you mean 'format'?"],
      [
        'application.yaml:11:16',
        "'storage.compression' has to be one of none, snappy, gzip, zstd, and is '9'",
        'Write none or snappy or gzip or zstd.',
      ],
      ['application.yaml:12:16', "'storage.max_records' has to be a number, and is 'lots'", 'Write a number.'],
      ['application.yaml:13:14', "'storage.every_sec' has to be a number, and is '300'", 'Leave out the quotes.'],
      [
        'application.yaml:15:15',
        "'storage.s3.endpoint' is 'localhost:9000': expected a URL, with https:// or http://",
        'Correct it there, or leave it out.',
      ],
      [
        'application.yaml:17:8',
        "'storage.gcs' has to be keys with values, and is 'archive'",
        expect.stringMatching(/^There can be .*bucket.* below it\.$/),
      ],
      ['application.yaml:18:1', "there is no setting 'format'", "It belongs under 'storage'."],
      ['application.yaml:20:21', 'SIZE is not set', 'Set SIZE, or write ${SIZE:-default}.'],
      ['application.yaml:21:13', "'file_rotation.strategy' has to be any, and is 'all'", 'Write any.'],
      [
        'application.yaml:23:13',
        "'${GROUP:archive}' is no variable",
        'Write ${NAME} or ${NAME:-default}, or $${ for the characters themselves.',
      ],
    ])
    expect(said).not.toContain('not-to-be-shown')
  })

  test('tells them as data', async () => {
    const { said } = await check('storage: { fromat: parquet }', {}, ['--json'])
    expect(JSON.parse(said.slice(0, said.indexOf('\n}\n') + 2))).toEqual({
      ok: false,
      faults: [
        {
          message: expect.stringContaining("there is no setting 'storage.fromat'"),
          hint: "Did you mean 'format'?",
          file: 'application.yaml',
          line: 1,
          column: 12,
        },
      ],
    })
  })

  test.each<[what: string, text: string, where: string, said: RegExp]>([
    [
      'a broker with a scheme',
      'kafka:\n  bootstrap_servers: http://b:9092\n',
      '2:22',
      /option 'brokers' \(kafka\.bootstrap_servers of .*\) .*without a scheme/,
    ],
    [
      'a login without a password',
      'kafka:\n  bootstrap_servers: b:9092\n  security_protocol: SASL_SSL\n  sasl_mechanism: PLAIN\n  sasl_username: ann\n',
      '1:1',
      /option 'sasl\.password' \(KAFKA_SASL_PASSWORD or kafka\.sasl_password of \S*\) is missing/,
    ],
    [
      'certificates that are not there',
      'kafka:\n  bootstrap_servers: b:9092\n  security_protocol: SSL\n  ssl_ca_location: gone.pem\n',
      '4:20',
      /option 'ssl\.caFile' \(kafka\.ssl_ca_location of \S*\)/,
    ],
    ['a topic with a blank', 'topics: [fine, my topic]\n', '1:9', /option 'topic.*\(topics of .*\) .*name of a topic/],
    [
      'a store without its bucket',
      'storage:\n  backend: s3\n  s3:\n    region: r\n',
      '3:3',
      /S3_BUCKET or storage\.s3\.bucket of \S* is not set/,
    ],
    ['a store of nothing', 'storage:\n  backend: gcs\n', '1:1', /GCS_BUCKET or storage\.gcs\.bucket/],
    [
      'two topics',
      'topics: a\nconsumer:\n  topics: b\n',
      '3:11',
      /'consumer\.topics' says something else than 'topics'[\s\S]*Keep one of them/,
    ],
    [
      'a key for S3 without its secret',
      'storage: { backend: s3, s3: { bucket: b, access_key_id: x } }\n',
      '1:',
      /both `accessKeyId` and `secretAccessKey`/,
    ],
    [
      'Azure without an account',
      'storage: { backend: azure, azure: { container: c } }\n',
      '1:',
      /either `connectionString` or `url`/,
    ],
    [
      'keys of its own for objects',
      'storage: { backend: s3, s3: { bucket: b, sse_kms_key_id: k } }\n',
      '1:58',
      /'storage\.s3\.sse_kms_key_id' can not be passed on[\s\S]*default encryption/,
    ],
    [
      'credentials of Google as text',
      'storage: { backend: gcs, gcs: { bucket: b, credentials_json: "{}" } }\n',
      '1:62',
      /can not be read[\s\S]*credentials_file/,
    ],
    [
      'a key of no account',
      'storage: { azure: { account_key: k } }\n',
      '1:34',
      /belongs to no account[\s\S]*account_name/,
    ],
  ])('tells of %s where the file has it', async (_, text, where, reason) => {
    const { code, said } = await check(text)
    expect(code).toBe(78)
    expect(said).toMatch(reason)
    expect(said).toContain(`at application.yaml:${where}`)
  })

  const s3 = { ARCHIVE_BACKEND: 's3', S3_BUCKET: 'events' }
  const azure = { ARCHIVE_BACKEND: 'azure', AZURE_STORAGE_CONTAINER: 'events' }
  const gcs = { ARCHIVE_BACKEND: 'gcs', GCS_BUCKET: 'events' }
  const login = 'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net'

  test.each<[environment: Readonly<Record<string, string>>, by: string, said: RegExp]>([
    [{ ...s3, S3_ENDPOINT: 'localhost:9000' }, 'S3_ENDPOINT', /begins with https:\/\/ or http:\/\//],
    [{ ...s3, S3_ENDPOINT: 'minio' }, 'S3_ENDPOINT', /begins with https:\/\/ or http:\/\//],
    [{ ...s3, S3_ENDPOINT: 's3://events' }, 'S3_ENDPOINT', /begins with https:\/\/ or http:\/\//],
    [{ ...s3, S3_ENDPOINT: 'http://localhost:9000/events' }, 'S3_ENDPOINT', /without the bucket/],
    [{ ...s3, S3_ENDPOINT: 'https://events.s3.eu-west-1.amazonaws.com' }, 'S3_ENDPOINT', /without the bucket/],
    [{ ...s3, S3_BUCKET: 's3://events' }, 'S3_BUCKET', /the name of a bucket alone/],
    [{ ...s3, S3_BUCKET: 'events/2025' }, 'S3_BUCKET', /its folders in `prefix`/],
    [{ ...s3, ARCHIVE_PATH: 's3://events/2025' }, 'ARCHIVE_PATH', /expected folders such as/],
    [{ ...s3, S3_PATH_STYLE: 'sometimes' }, 'S3_PATH_STYLE', /true/],
    [{ ...gcs, GCS_ENDPOINT: 'localhost:4443' }, 'GCS_ENDPOINT', /begins with https:\/\/ or http:\/\//],
    [{ ...gcs, GCS_BUCKET: 'gs://events' }, 'GCS_BUCKET', /the name of a bucket alone/],
    [
      { ...azure, AZURE_STORAGE_URL: 'https://a.blob.core.windows.net/events' },
      'AZURE_STORAGE_URL',
      /without the container/,
    ],
    [
      { ...azure, AZURE_STORAGE_CONNECTION_STRING: 'a.blob.core.windows.net' },
      'AZURE_STORAGE_CONNECTION_STRING',
      /as the portal shows it/,
    ],
    [
      { ...azure, AZURE_STORAGE_CONNECTION_STRING: 'AccountName=a;AccountKey=c2VjcmV0' },
      'AZURE_STORAGE_CONNECTION_STRING',
      /DefaultEndpointsProtocol=https/,
    ],
    [
      { ...azure, AZURE_STORAGE_CONTAINER: 'events/2025', AZURE_STORAGE_CONNECTION_STRING: login },
      'AZURE_STORAGE_CONTAINER',
      /the name of a container alone/,
    ],
    [{ ARCHIVE_BACKEND: 'minio' }, 'ARCHIVE_BACKEND', /file, s3, azure, gcs/],
  ])('tells of %o where it comes from, and why', async (environment, by, said) => {
    const checked = await check('topics: a\n', environment)
    expect(checked.code).toBe(78)
    expect(checked.said).toMatch(said)
    expect(checked.said).toContain(by)
    expect(checked.said).not.toContain('c2VjcmV0')
  })

  test.each([
    { ...s3, S3_BUCKET: 'arn:aws:s3:eu-west-1:123456789012:accesspoint/events' },
    { ...s3, S3_ENDPOINT: 'http://localhost:9000' },
    { ...s3, S3_ENDPOINT: 'https://events.example.com/storage/v1/s3/' },
    { ...azure, AZURE_STORAGE_URL: 'http://127.0.0.1:10000/devstoreaccount1?sv=1&sig=x' },
    { ...azure, AZURE_STORAGE_CONNECTION_STRING: login },
    { ...azure, AZURE_STORAGE_CONNECTION_STRING: 'UseDevelopmentStorage=true' },
    {
      ...azure,
      AZURE_STORAGE_CONNECTION_STRING: 'BlobEndpoint=https://a.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x',
    },
    { ...gcs, GCS_ENDPOINT: 'https://storage.googleapis.com' },
  ])('takes %o', async (environment) => {
    expect(await check('topics: a\n', environment)).toMatchObject({ code: 0 })
  })

  test('tells of a file that ARCHIVE_CONFIG names and that is not there', async () => {
    const argv = ['check', '-c', join(root, 'flows.config.ts')]
    const { code, said } = await weirIn(cwd, argv, { ARCHIVE_CONFIG: join(cwd, 'gone.yaml') })
    expect(code).toBe(78)
    expect(said.match(/there is no file/g)).toHaveLength(1)
    expect(said).toContain('Correct ARCHIVE_CONFIG, or unset it.')
  })

  test('holds with a file that is right', async () => {
    const example = readFileSync(join(root, 'config/application.example.yaml'), 'utf8')
    expect(await check(example)).toMatchObject({ code: 0 })
  })
})
