import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect as openSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const version = '4.1.1'
const cache = fileURLToPath(new URL('../../node_modules/.cache/weir/kafka', import.meta.url))
const upMs = 60_000

/** A cluster of Apache Kafka on this machine. */
export interface KafkaCluster {
  /** `host:port,…` of all brokers, those that are down too. */
  readonly bootstrap: string
  /** Ends a broker at once, as a power cut would. */
  kill(broker: number): Promise<void>
  /** Lets a broker end in its own way. */
  stop(broker: number): Promise<void>
  /** Starts a broker that was ended, with the data it had; resolves when it answers. */
  restart(broker: number): Promise<void>
  /** Ends all brokers and forgets their data. */
  close(): Promise<void>
}

export const KafkaCluster = {
  /**
   * Starts one broker or three; up in seconds. `dir` keeps their data, which otherwise goes with them. Brokers that are
   * `optimized` compile what runs hot as they would in production; the others take fewer seconds and less memory.
   */
  start,
}

/** Why the real broker can't be started here; undefined when it can. Errors instead where real servers are required. */
export function requireKafka(): string | undefined {
  const reason = missing()
  if (reason !== undefined && process.env['WEIR_TEST_SERVERS'] === 'required')
    throw new Error(`starting Kafka: ${reason}`)
  return reason
}

interface ClusterOptions {
  readonly brokers?: 1 | 3
  readonly dir?: string
  readonly optimized?: boolean
}

async function start({ brokers = 1, dir, optimized = false }: ClusterOptions = {}): Promise<KafkaCluster> {
  const jars = fetchJars()
  const home = dir ?? mkdtempSync(join(tmpdir(), 'weir-kafka-'))
  const ports = await freePorts(brokers * 2)
  const nodes = Array.from({ length: brokers }, (_, index) => new Node(index, brokers, ports, home, jars, optimized))
  const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
  for (const node of nodes) node.format(id)
  const closeAll = async () => {
    await Promise.all(nodes.map((node) => node.end('SIGKILL')))
    if (dir === undefined) rmSync(home, { recursive: true, force: true })
  }
  const killAtExit = () => nodes.forEach((node) => node.killNow())
  process.once('exit', killAtExit)
  try {
    await Promise.all(nodes.map((node) => node.start()))
  } catch (error) {
    await closeAll()
    throw error
  }
  return {
    bootstrap: nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    kill: (broker) => nodes[broker]!.end('SIGKILL'),
    stop: (broker) => nodes[broker]!.end('SIGTERM'),
    restart: (broker) => nodes[broker]!.start(),
    close: async () => {
      process.off('exit', killAtExit)
      await closeAll()
    },
  }
}

class Node {
  readonly port: number
  private process: ChildProcess | undefined
  private readonly config: string
  private readonly log: string

  constructor(
    index: number,
    count: number,
    ports: readonly number[],
    home: string,
    private readonly jars: string,
    private readonly optimized: boolean,
  ) {
    this.port = ports[index]!
    const controller = ports[count + index]!
    const voters = Array.from({ length: count }, (_, other) => `${other + 1}@127.0.0.1:${ports[count + other]}`)
    this.config = join(home, `broker-${index}.properties`)
    this.log = join(home, `broker-${index}.log`)
    mkdirSync(home, { recursive: true })
    writeFileSync(this.config, properties(index, count, this.port, controller, voters, join(home, `data-${index}`)))
  }

  format(cluster: string): void {
    this.java(['kafka.tools.StorageTool', 'format', '--ignore-formatted', `--cluster-id=${cluster}`, '-c', this.config])
  }

  async start(): Promise<void> {
    const log = openSync(this.log, 'w')
    this.process = spawn(
      'java',
      [...(this.optimized ? fullSpeed : quickStart), '-cp', `${this.jars}/*`, 'kafka.Kafka', this.config],
      {
        stdio: ['ignore', log, log],
      },
    )
    const deadline = Date.now() + upMs
    while (!readFileSync(this.log, 'utf8').includes('Kafka Server started') || !(await answers(this.port))) {
      if (this.process.exitCode !== null || Date.now() > deadline)
        throw new Error(`starting Kafka: it does not come up\n${this.tail()}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.process
    this.process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await exited
  }

  killNow(): void {
    this.process?.kill('SIGKILL')
  }

  private java(args: readonly string[]): void {
    execFileSync('java', ['-cp', `${this.jars}/*`, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  }

  private tail(): string {
    return readFileSync(this.log, 'utf8').split('\n').slice(-20).join('\n')
  }
}

const quickStart = ['-Xms128M', '-Xmx512M', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
const fullSpeed = ['-Xms512M', '-Xmx1G']

function properties(
  index: number,
  count: number,
  port: number,
  controller: number,
  voters: readonly string[],
  data: string,
): string {
  const inSync = Math.min(2, count)
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': index + 1,
    'controller.quorum.voters': voters.join(','),
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'min.insync.replicas': inSync,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': count,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': count,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': count,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    'broker.session.timeout.ms': 3_000,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function missing(): string | undefined {
  if (!runs('java', '-version')) return 'java is missing: install a JRE of version 17 or newer'
  if (existsSync(join(cache, 'complete')) || runs('mvn', '-version') || process.getuid?.() === 0) return undefined
  return 'mvn is missing: install Maven'
}

/** The folder of the broker's jars, fetched from Maven Central at the first call. */
function fetchJars(): string {
  const lib = join(cache, 'lib')
  const complete = join(cache, 'complete')
  if (existsSync(complete) && readFileSync(complete, 'utf8') === version) return lib
  if (!runs('mvn', '-version')) execFileSync('apt-get', ['install', '-y', '-q', 'maven'], { stdio: 'ignore' })
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'pom.xml'), pom)
  execFileSync(
    'mvn',
    ['-q', '-B', '-f', join(cache, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${lib}`],
    { stdio: 'pipe' },
  )
  if (readdirSync(lib).length === 0) throw new Error('fetching Kafka: Maven copied no jars')
  writeFileSync(complete, version)
  return lib
}

const dependency = (group: string, artifact: string, of: string) =>
  `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${of}</version></dependency>`

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>weir</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
<dependencies>${dependency('org.apache.kafka', 'kafka_2.13', version)}${dependency('org.apache.kafka', 'kafka-tools', version)}${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}</dependencies>
</project>
`

function runs(command: string, argument: string): boolean {
  try {
    execFileSync(command, [argument], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Ports that are free now, all different because all are held until each is known. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = openSocket(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
