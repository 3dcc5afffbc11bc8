import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { kafkaVersion, requireKafka } from './kafka-install.js'
import { fetchJars, type JavaServer, missingJars } from './maven-jars.js'
import { ServerProcess } from './server-process.js'
import { findProgram, missingServer } from './server-support.js'

const streams: JavaServer = {
  name: 'Kafka-Streams',
  version: kafkaVersion,
  dependencies: [
    ['org.apache.kafka', 'kafka-streams', kafkaVersion],
    ['org.slf4j', 'slf4j-simple', '1.7.36'],
  ],
}
const program = fileURLToPath(new URL('kafka-streams/Windows.java', import.meta.url))
/** How long it may take to end by itself. */
const endMs = 20_000

/** Why Kafka Streams can't be run here; undefined when it can. Errors instead where real servers are required. */
export function requireKafkaStreams(): string | undefined {
  const compiler = {
    name: 'Java compiler',
    debian: 'default-jdk-headless',
    isThere: () => findProgram('javac') !== undefined,
  }
  return requireKafka() ?? missingJars(streams) ?? missingServer(compiler)
}

/** Its jars as they come from Maven Central at the first call, as Java has to have them for a class path. */
export function installKafkaStreams(): string {
  return `${fetchJars(streams)}/*`
}

/** What it counts: see `kafka-streams/Windows.java`. */
export interface StreamsJob {
  /** Its consumer group, too. */
  readonly id: string
  readonly topic: string
  /** The topic of results, which has to be there. */
  readonly results: string
  readonly sizeMs: number
  readonly advanceMs?: number | undefined
  readonly graceMs: number
  readonly by?: string | undefined
}

interface StreamsOptions {
  /** Settings of Kafka Streams. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** Whether it compiles what runs hot as it would in production; otherwise it takes fewer seconds to start. */
  readonly optimized?: boolean
}

/** An application of Kafka Streams, in a process of its own. Its state goes with it. */
export class StreamsApp {
  private constructor(private readonly java: ServerProcess) {}

  /** Resolves when it has its partitions. */
  static async start(
    brokers: string,
    { id, topic, results, sizeMs, advanceMs, graceMs, by }: StreamsJob,
    { settings = {}, optimized = false }: StreamsOptions = {},
  ): Promise<StreamsApp> {
    const java = new ServerProcess({ directory: mkdtempSync(join(tmpdir(), 'weir-streams-')) })
    const told = Object.entries({
      ...{ topic, results, size: sizeMs, advance: advanceMs, grace: graceMs, by },
      ...{ 'application.id': id, 'bootstrap.servers': brokers, 'state.dir': java.directory, ...settings },
    }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
    const flags = [...(optimized ? fullSpeed : quickStart), '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
    const isRunning = () =>
      /^running$/m.test(java.said) ? Promise.resolve() : Promise.reject(new Error('Kafka Streams is not up yet'))
    if (await java.start('java', [...flags, '-cp', installKafkaStreams(), program, ...told], isRunning))
      return new StreamsApp(java)
    const { said } = java
    await java.end('SIGKILL')
    java.remove()
    throw new Error(`starting Kafka Streams: it does not come up\n${said}`)
  }

  get pid(): number | undefined {
    return this.java.pid
  }

  /** When its first record came, ms; undefined before. */
  get beganAt(): number | undefined {
    return this.number('began')
  }

  /**
   * Resolves when it has left, to how many records it has dropped: a late one counts for each window that it misses.
   * Errors when something went wrong in it.
   */
  async end(): Promise<number> {
    const { pid } = this.java
    const killing = setTimeout(() => pid !== undefined && process.kill(pid, 'SIGKILL'), endMs)
    await this.java.end('SIGTERM')
    clearTimeout(killing)
    const [dropped, said] = [this.number('dropped'), this.java.said]
    this.java.remove()
    if (dropped === undefined || said.includes('Exception'))
      throw new Error(`running Kafka Streams: it failed\n${said}`)
    return dropped
  }

  private number(word: string): number | undefined {
    const found = new RegExp(`^${word} (\\d+)$`, 'm').exec(this.java.said)
    return found === null ? undefined : Number(found[1])
  }
}

const quickStart = ['-Xms128M', '-Xmx512M', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
const fullSpeed = ['-Xms512M', '-Xmx1G']
