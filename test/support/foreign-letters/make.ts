/**
 * Has Kafka Connect and Spring write dead letters, and keeps them as they are in `letters.json`, for tests:
 *
 *   node --import jiti/register test/support/foreign-letters/make.ts
 *
 * Both come from Maven Central; it takes a Java compiler. Records of the topic `orders` are what neither can take.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Message } from '../../../src/kafka/client.js'
import type { Key } from '../../../src/model/index.js'
import { KafkaCluster } from '../../servers/kafka-broker.js'
import { kafkaVersion, propertiesOf } from '../../servers/kafka-install.js'
import { fetchJars, type JavaServer } from '../../servers/maven-jars.js'
import { ServerProcess } from '../../servers/server-process.js'
import { freePort } from '../../servers/server-support.js'
import { TopicTools } from '../../servers/topic-tools.js'
import { readTopic, writeTopic } from '../job-truth.js'
import type { ForeignLetters } from './foreign-letters.js'

const connect: JavaServer = {
  name: 'Kafka-Connect',
  version: kafkaVersion,
  dependencies: [
    ['org.apache.kafka', 'connect-runtime', kafkaVersion],
    ['org.apache.kafka', 'connect-file', kafkaVersion],
    ['org.slf4j', 'slf4j-simple', '1.7.36'],
  ],
}
const spring: JavaServer = {
  name: 'Spring-Kafka',
  version: '3.3.11',
  dependencies: [
    ['org.springframework.kafka', 'spring-kafka', '3.3.11'],
    ['org.slf4j', 'slf4j-simple', '1.7.36'],
  ],
}

const orders = 'orders'
const records = [
  { partition: 1, key: 'ann', value: '{"amount":"much"}', timestamp: 1_700_000_000_001, headers: [{ trace: 'abc' }] },
  { partition: 2, key: 'bob', value: 'no object', timestamp: 1_700_000_000_002, headers: [{ trace: 'def' }] },
]

/** Values that are no JSON fail to be converted; amounts that are no numbers fail in a transform. */
async function ofConnect(brokers: string): Promise<readonly Message[]> {
  const directory = mkdtempSync(join(tmpdir(), 'weir-connect-'))
  const worker = {
    'bootstrap.servers': brokers,
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': false,
    'offset.storage.file.filename': join(directory, 'offsets'),
    listeners: `http://127.0.0.1:${await freePort()}`,
    // Positions of the topic are read from its beginning.
    'consumer.auto.offset.reset': 'earliest',
  }
  const sink = {
    name: 'billing',
    'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
    'tasks.max': 1,
    topics: orders,
    file: join(directory, 'out'),
    transforms: 'cast',
    'transforms.cast.type': 'org.apache.kafka.connect.transforms.Cast$Value',
    'transforms.cast.spec': 'amount:int32',
    'errors.tolerance': 'all',
    'errors.deadletterqueue.topic.name': 'of-connect',
    'errors.deadletterqueue.topic.replication.factor': 1,
    'errors.deadletterqueue.context.headers.enable': true,
  }
  const files = [join(directory, 'worker.properties'), join(directory, 'sink.properties')] as const
  writeFileSync(files[0], propertiesOf(worker))
  writeFileSync(files[1], propertiesOf(sink))
  const java = new ServerProcess({ directory, upMs: 120_000 })
  const main = 'org.apache.kafka.connect.cli.ConnectStandalone'
  const isDone = async () => {
    if ((await readTopic(brokers, 'of-connect')).length < records.length) throw new Error('not yet')
  }
  const came = await java.start('java', ['-cp', `${fetchJars(connect)}/*`, main, ...files], isDone)
  const { said } = java
  await java.end('SIGKILL')
  java.remove()
  if (!came) throw new Error(`Kafka Connect wrote no dead letters:\n${said.slice(-5_000)}`)
  return readTopic(brokers, 'of-connect')
}

async function ofSpring(brokers: string): Promise<readonly Message[]> {
  const program = fileURLToPath(new URL('Spring.java', import.meta.url))
  const flags = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-cp', `${fetchJars(spring)}/*`]
  execFileSync('java', [...flags, program, brokers, orders, 'of-spring', String(records.length)], { stdio: 'inherit' })
  return readTopic(brokers, 'of-spring')
}

/** Traces of stacks are long, and nobody reads them. */
const mostHex = 400

function kept({ key, value, headers = [], timestamp = 0 }: Message): ForeignLetters['letters'][number] {
  const text = (part: Key | undefined) => part?.toString() ?? null
  const bytes = headers.flatMap((header) =>
    Object.entries(header).map(([name, held]): [string, string] => {
      const hex = Buffer.from(held as Buffer).toString('hex')
      return [name, name.endsWith('stacktrace') ? hex.slice(0, mostHex) : hex]
    }),
  )
  return { key: text(key), value: text(value), timestamp, headers: bytes }
}

const cluster = await KafkaCluster.start()
try {
  const tools = await TopicTools.connect(cluster.bootstrap)
  await tools.create(orders, 3)
  for (const topic of ['of-connect', 'of-spring']) await tools.create(topic, 1)
  await writeTopic(cluster.bootstrap, orders, records)
  await tools.close()
  const made: readonly ForeignLetters[] = [
    { by: `Kafka Connect ${connect.version}`, letters: (await ofConnect(cluster.bootstrap)).map(kept) },
    { by: `Spring for Apache Kafka ${spring.version}`, letters: (await ofSpring(cluster.bootstrap)).map(kept) },
  ]
  writeFileSync(new URL('letters.json', import.meta.url), `${JSON.stringify(made, undefined, 2)}\n`)
} finally {
  await cluster.close()
}
