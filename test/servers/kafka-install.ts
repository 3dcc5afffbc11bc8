import { execFile, execFileSync } from 'node:child_process'
import { createHash, pbkdf2Sync, randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheOf, fetchJars, type JavaServer, missingJars } from './maven-jars.js'
import { exclusively } from './server-support.js'

/** Of the broker, and of what else is of Kafka. */
export const kafkaVersion = '4.1.1'
const kafka: JavaServer = {
  name: 'Kafka',
  version: kafkaVersion,
  dependencies: [
    ['org.apache.kafka', 'kafka_2.13', kafkaVersion],
    ['org.apache.kafka', 'kafka-tools', kafkaVersion],
    ['org.slf4j', 'slf4j-simple', '1.7.36'],
  ],
}
const cache = cacheOf(kafka)

export interface KafkaInstallation {
  /** What Java has to have for a class path. */
  readonly jars: string
  /** Makes a folder what the broker of that number finds when it starts for the first time. */
  format(data: string, broker: number, cluster: string): void
  /** Lets nobody but this user do nothing but this with a topic, through the broker at that port. */
  allow(port: number, user: string, operation: string, topic: string): Promise<unknown>
  /** Gives a user another password, through the broker at that port. */
  renew(port: number, user: string, password: string): Promise<unknown>
}

/** Why the real broker can't be started here; undefined when it can. Errors instead where real servers are required. */
export function requireKafka(): string | undefined {
  return missingJars(kafka)
}

/** Kafka as it comes from Maven Central at the first call, and how brokers of it begin that know these users. */
export function installKafka(users: Readonly<Record<string, string>> = {}): KafkaInstallation {
  const jars = `${fetchJars(kafka)}/*`
  const checkpoint = exclusively('kafka', () => firstCheckpoint(jars, users))
  return {
    jars,
    format: (data, broker, cluster) => format(data, broker, cluster, checkpoint),
    allow: allowing(jars),
    renew: renewing(jars),
  }
}

function renewing(jars: string): KafkaInstallation['renew'] {
  return (port, user, password) => {
    const what = ['--alter', '--entity-type', 'users', '--entity-name', user]
    const login = ['--add-config', `SCRAM-SHA-512=[iterations=4096,password=${password}]`]
    const tool = ['kafka.admin.ConfigCommand', '--bootstrap-server', `127.0.0.1:${port}`, ...what, ...login]
    return promisify(execFile)('java', ['-cp', jars, ...tool])
  }
}

function allowing(jars: string): KafkaInstallation['allow'] {
  return (port, user, operation, topic) => {
    const what = ['--add', '--allow-principal', `User:${user}`, '--operation', operation, '--topic', topic]
    const tool = ['org.apache.kafka.tools.AclCommand', '--bootstrap-server', `127.0.0.1:${port}`, ...what]
    return promisify(execFile)('java', ['-cp', jars, ...tool])
  }
}

/** An id as Kafka has them. */
export function kafkaId(): string {
  const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
  return id.startsWith('-') ? kafkaId() : id
}

/** What Kafka's own tool writes besides the ids. It is the same for each broker, and the tool takes seconds. */
function firstCheckpoint(jars: string, users: Readonly<Record<string, string>>): string {
  const logins = Object.entries(users).flatMap(([user, password]) => scramOf(user, password))
  const mark = logins.length === 0 ? '' : `-${createHash('sha256').update(logins.join()).digest('hex').slice(0, 12)}`
  const checkpoint = join(cache, `bootstrap-${kafkaVersion}${mark}.checkpoint`)
  if (existsSync(checkpoint)) return checkpoint
  const [data, config] = [join(cache, 'formatted'), join(cache, 'format.properties')]
  rmSync(data, { recursive: true, force: true })
  writeFileSync(config, propertiesOf({ ...roles, 'controller.quorum.voters': '1@127.0.0.1:9093', 'log.dirs': data }))
  const tool = ['kafka.tools.StorageTool', 'format', `--cluster-id=${kafkaId()}`, '-c', config, ...logins]
  execFileSync('java', ['-cp', jars, ...tool], { stdio: 'pipe' })
  copyFileSync(join(data, 'bootstrap.checkpoint'), checkpoint)
  return checkpoint
}

/** The tool takes no password with a comma or a bracket in it, but what the brokers keep of any. */
function scramOf(user: string, password: string): string[] {
  return (['256', '512'] as const).flatMap((bits) => {
    const [salt, iterations] = [Buffer.from(`salt of ${user}`), 4_096]
    const salted = pbkdf2Sync(password, salt, iterations, Number(bits) / 8, `sha${bits}`)
    const kept = `salt="${salt.toString('base64')}",saltedpassword="${salted.toString('base64')}"`
    return ['--add-scram', `SCRAM-SHA-${bits}=[name=${user},iterations=${iterations},${kept}]`]
  })
}

const roles = {
  'process.roles': 'broker,controller',
  'node.id': 1,
  listeners: 'PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093',
  'controller.listener.names': 'CONTROLLER',
}

function format(data: string, broker: number, cluster: string, checkpoint: string): void {
  mkdirSync(data, { recursive: true })
  const ids = { version: 1, 'node.id': broker + 1, 'cluster.id': cluster, 'directory.id': kafkaId() }
  writeFileSync(join(data, 'meta.properties'), propertiesOf(ids))
  copyFileSync(checkpoint, join(data, 'bootstrap.checkpoint'))
}

/** As Java reads settings from a file. */
export function propertiesOf(settings: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${escaped(String(value))}\n`)
    .join('')
}

function escaped(text: string): string {
  const code = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return text.replaceAll('\\', '\\\\').replace(/[^ -~]/g, code)
}
