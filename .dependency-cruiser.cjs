/**
 * Imports go one way:
 *
 *   model ◄─ state ◄─ engine ◄─ testing, config ◄─ worker ◄─ cli
 *   model ◄─ state/checkpoint-protocol, state/topic-protocol, state/letter-protocol ◄─ kafka, testing
 *   model ◄─ sql, compression ◄─ codecs, kafka, postgres, redis, mysql, cassandra ◄─ sources, operators, sinks ◄─ connectors ◄─ index ◄─ flows
 */
const adapters = ['codecs', 'kafka', 'postgres', 'redis', 'mysql', 'cassandra', 'sql']

/** What each folder of src may import besides itself. `cli` puts everything together and has no rule. */
const layers = {
  model: [],
  state: ['model'],
  engine: ['model', 'state'],
  codecs: ['model', 'compression'],
  kafka: ['model', 'compression', 'state/checkpoint-protocol', 'state/topic-protocol', 'state/letter-protocol'],
  compression: ['model'],
  sql: ['model'],
  postgres: ['model', 'sql'],
  mysql: ['model', 'sql'],
  redis: ['model', 'sql'],
  cassandra: ['model', 'sql'],
  sources: ['model', ...adapters],
  operators: ['model', 'codecs', 'aggregates', 'checks', 'sql'],
  aggregates: ['model'],
  checks: ['model', 'sql'],
  sinks: ['model', ...adapters],
  connectors: ['model', 'sources', 'sinks', ...adapters],
  config: ['model', 'engine'],
  testing: ['model', 'state', 'engine', 'config'],
  worker: ['model', 'state', 'engine', 'config'],
  flows: ['index\\.ts$'],
}

/** Packages that only these folders name, so that another can take their place. */
const packages = {
  '@confluentinc/kafka-javascript': ['kafka'],
  '@node-rs/crc32': ['kafka/fetch'],
  'pg|pg-copy-streams|@electric-sql/pglite(-socket)?': ['postgres', 'sinks/postgres'],
  '@confluentinc/schemaregistry|avsc|ajv|ajv-formats': ['codecs'],
  'hyparquet(-writer)?': ['codecs/parquet'],
  'snappy|@mongodb-js/zstd|lz4-napi': ['compression'],
  mysql2: ['mysql'],
  ioredis: ['redis'],
  'cassandra-driver': ['cassandra'],
  '@aws-sdk/client-s3': ['sinks/archive/s3'],
  '@azure/storage-blob': ['sinks/archive/azure'],
  '@google-cloud/storage': ['sinks/archive/gcs'],
  'fastify|prom-client': ['worker'],
  'commander|log-update|chokidar': ['cli'],
  'pino|pino-pretty': ['worker', 'cli'],
  'jiti|dotenv|yaml': ['config'],
  'eventsource-parser': ['sources/sse'],
  croner: ['sources/schedule'],
  '@opentelemetry/(api|sdk-node)': ['worker/spans', 'cli/tracing'],
}

const anyOf = (folders) =>
  `^src/(${folders.map((folder) => (folder.endsWith('$') ? folder : `${folder}(/|\\.|-)`)).join('|')})`

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-to-test', severity: 'error', from: { path: '^src' }, to: { path: '^(test|bench|scripts)/' } },
    {
      name: 'no-undeclared-package',
      comment: 'What src imports is a dependency of the package, not of its development.',
      severity: 'error',
      from: { path: '^src' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'model-is-pure',
      comment: 'The vocabulary knows no library but RxJS and zod.',
      severity: 'error',
      from: { path: '^src/model/' },
      to: { dependencyTypes: ['npm'], pathNot: 'node_modules/(rxjs|zod|@standard-schema/spec)/' },
    },
    ...Object.entries(layers).map(([folder, allowed]) => ({
      name: `layer-${folder}`,
      comment: `src/${folder} imports ${allowed.length === 0 ? 'no other folder' : `only ${allowed.join(', ')}`}.`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: '^src/', pathNot: anyOf([folder, ...allowed]) },
    })),
    ...Object.entries(packages).map(([names, folders]) => ({
      name: `only-${folders.join('-').replaceAll('/', '-')}-names-${names.split(/[|/(]/).at(0).replace('@', '')}`,
      severity: 'error',
      from: { path: '^src/', pathNot: anyOf(folders) },
      to: { path: `node_modules/(${names})/` },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
}
