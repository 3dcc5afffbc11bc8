import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as openSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from '../support/certificates.js'
import { installKafka, type KafkaInstallation, kafkaId, propertiesOf } from './kafka-install.js'
import { ServerProcess } from './server-process.js'
import { freePort } from './server-support.js'
import { TcpProxy } from './tcp-proxy.js'

export { requireKafka } from './kafka-install.js'

/** A cluster of Apache Kafka on this machine. */
export interface KafkaCluster {
  /** `host:port,…` of all brokers, those that are down too. */
  readonly bootstrap: string
  /** `host:port` of one of its listeners. */
  at(listener: string): string
  /** Ends a broker at once, as a power cut would. */
  kill(broker: number): Promise<void>
  /** Lets a broker end in its own way. */
  stop(broker: number): Promise<void>
  /** Starts a broker that was ended, with the data it had; resolves when it answers. */
  restart(broker: number): Promise<void>
  /** Where it has listeners: lets nobody but this user do nothing but this with a topic: `Describe`, say. */
  allow(user: string, operation: string, topic: string): Promise<unknown>
  /** Where it has listeners: gives a user another password, by SCRAM-SHA-512. */
  renew(user: string, password: string): Promise<unknown>
  /** Where the cluster stands behind proxies: those of its brokers. */
  readonly ways: readonly TcpProxy[]
  /** Cuts every connection of a client; only where the cluster stands behind proxies. */
  cut(): void
  /** Ends all brokers and forgets their data. */
  close(): Promise<void>
}

export const KafkaCluster = {
  /**
   * Starts one broker or three; up in seconds. Brokers that are `optimized` compile what runs hot as they would in
   * production; the others take fewer seconds and less memory. Clients of one that is `proxied` can be cut off.
   */
  start,
}

/** One more way to a broker. */
export interface Listener {
  /** Where it speaks TLS: with what. */
  readonly tls?: Certificate
  /** The file with the authorities of those clients that it serves; others, and those without a certificate, it does not. */
  readonly clients?: string
  /** Where it asks for a login: the ways that it takes. */
  readonly logins?: readonly ('PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER')[]
  /** For how long a login holds, ms. */
  readonly loginMs?: number
}

interface ClusterOptions {
  readonly brokers?: 1 | 3
  readonly optimized?: boolean
  readonly proxied?: boolean
  /** Further listeners of a single broker, by names of their own, and the passwords of those who log in there. */
  readonly listeners?: Readonly<Record<string, Listener>>
  readonly users?: Readonly<Record<string, string>>
  /** Settings of each broker besides the usual ones, and where the classes are that they name. */
  readonly settings?: Readonly<Record<string, string>>
  readonly classes?: string
}

async function start({
  brokers = 1,
  optimized = false,
  proxied = false,
  listeners = {},
  users = {},
  settings = {},
  classes,
}: ClusterOptions = {}): Promise<KafkaCluster> {
  const kafka = installKafka(users)
  const home = mkdtempSync(join(tmpdir(), 'weir-kafka-'))
  const [ports, controllers] = [await freePorts(brokers), await freePorts(brokers)]
  const proxies = proxied ? await Promise.all(ports.map((port) => TcpProxy.start(port))) : []
  const advertised = proxied ? proxies.map(({ port }) => port) : ports
  const more = new Map<string, Way>()
  for (const [name, listener] of Object.entries(listeners)) more.set(name, { ...listener, port: await freePort() })
  const cluster = { id: kafkaId(), ports, controllers, advertised, more, users }
  const nodes = ports.map((_, index) => new Node({ index, home, cluster, kafka, optimized, settings, classes }))
  const close = async () => {
    await Promise.all([...nodes.map((node) => node.end('SIGKILL')), ...proxies.map((proxy) => proxy.close())])
    rmSync(home, { recursive: true, force: true })
  }
  try {
    await Promise.all(nodes.map((node) => node.start()))
  } catch (error) {
    await close()
    throw error
  }
  return {
    ways: proxies,
    bootstrap: advertised.map((port) => `127.0.0.1:${port}`).join(','),
    at: (listener) => `127.0.0.1:${more.get(listener)?.port}`,
    kill: (broker) => nodes[broker]!.end('SIGKILL'),
    stop: (broker) => nodes[broker]!.end('SIGTERM'),
    restart: (broker) => nodes[broker]!.start(),
    allow: (user, operation, topic) => kafka.allow(advertised[0]!, user, operation, topic),
    renew: (user, password) => kafka.renew(advertised[0]!, user, password),
    cut: () => proxies.forEach((proxy) => proxy.cut()),
    close,
  }
}

interface ClusterParts {
  readonly id: string
  /** Of each broker: where it listens, as a broker and as a controller, and where clients find it. */
  readonly ports: readonly number[]
  readonly controllers: readonly number[]
  readonly advertised: readonly number[]
  readonly more: ReadonlyMap<string, Way>
  readonly users: Readonly<Record<string, string>>
}

interface Way extends Listener {
  readonly port: number
}

interface NodeParts {
  readonly index: number
  readonly home: string
  readonly cluster: ClusterParts
  readonly kafka: KafkaInstallation
  readonly optimized: boolean
  readonly settings: Readonly<Record<string, string>>
  readonly classes: string | undefined
}

class Node {
  private readonly process: ServerProcess
  private readonly config: string

  constructor(private readonly parts: NodeParts) {
    const { index, home, cluster, kafka, settings } = parts
    const directory = join(home, `broker-${index}`)
    const data = join(directory, 'data')
    this.config = join(directory, 'broker.properties')
    mkdirSync(directory)
    kafka.format(data, index, cluster.id)
    writeFileSync(
      this.config,
      propertiesOf({ ...settingsOf(index, cluster), ...securityOf(cluster, directory), ...settings, 'log.dirs': data }),
    )
    this.process = new ServerProcess({ directory })
  }

  async start(): Promise<void> {
    const { index, cluster, kafka, optimized, classes } = this.parts
    const path = classes === undefined ? kafka.jars : `${kafka.jars}:${classes}`
    const args = [...(optimized ? fullSpeed : quickStart), '-cp', path, 'kafka.Kafka', this.config]
    const isUp = async () => {
      if (!this.process.said.includes('Kafka Server started')) throw new Error('Kafka is not up yet')
      await answer(cluster.ports[index]!)
    }
    if (await this.process.start('java', args, isUp)) return
    throw new Error(`starting Kafka: it does not come up\n${this.process.said.split('\n').slice(-20).join('\n')}`)
  }

  end(signal: NodeJS.Signals): Promise<void> {
    return this.process.end(signal)
  }
}

const quickStart = ['-Xms128M', '-Xmx512M', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
const fullSpeed = ['-Xms512M', '-Xmx1G']

function securityOf({ ports: [port], controllers: [controller], more, users }: ClusterParts, directory: string) {
  if (more.size === 0) return {}
  const ways = [...more].map(([name, way]) => ({ ...way, name: name.toUpperCase(), protocol: protocolOf(way) }))
  const named = [`PLAINTEXT://127.0.0.1:${port}`, ...ways.map(({ name, port }) => `${name}://127.0.0.1:${port}`)].join(
    ',',
  )
  const protocols = ways.map(({ name, protocol }) => `,${name}:${protocol}`).join('')
  return {
    listeners: `${named},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': named,
    'listener.security.protocol.map': `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${protocols}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...Object.assign({}, ...ways.map((way) => wayOf(way, users, directory))),
    // Who logs in may do what the topic allows; who need not log in may do anything.
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
    'allow.everyone.if.no.acl.found': true,
  }
}

function protocolOf({ tls, logins }: Listener): string {
  return `${logins === undefined ? '' : 'SASL_'}${tls === undefined ? 'PLAINTEXT' : 'SSL'}`
}

function wayOf(
  { name, tls, clients, logins = [], loginMs = 0 }: Way & { name: string },
  users: object,
  directory: string,
) {
  const of = (settings: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(settings).map(([setting, value]) => [`listener.name.${name.toLowerCase()}.${setting}`, value]),
    )
  const keystore = join(directory, `${name}.pem`)
  if (tls !== undefined) writeFileSync(keystore, `${tls.key}${tls.cert}`)
  const known = Object.entries(users).map(([user, password]) => ` user_${user}="${quoted(password)}"`)
  const modules = {
    plain: `plain.PlainLoginModule required${known.join('')};`,
    'scram-sha-256': 'scram.ScramLoginModule required;',
    'scram-sha-512': 'scram.ScramLoginModule required;',
    // It believes what a token says of itself.
    oauthbearer: 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
  }
  return {
    ...(tls === undefined ? {} : of({ 'ssl.keystore.type': 'PEM', 'ssl.keystore.location': keystore })),
    ...(clients === undefined
      ? {}
      : of({ 'ssl.client.auth': 'required', 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': clients })),
    ...(logins.length === 0 ? {} : of({ 'sasl.enabled.mechanisms': logins.join(',') })),
    ...Object.assign(
      {},
      ...logins.map((login) => {
        const mechanism = login.toLowerCase() as keyof typeof modules
        return of({
          [`${mechanism}.sasl.jaas.config`]: `org.apache.kafka.common.security.${modules[mechanism]}`,
          [`${mechanism}.connections.max.reauth.ms`]: String(loginMs),
        })
      }),
    ),
  }
}

const quoted = (password: string) => password.replace(/[\\"]/g, '\\$&')

function settingsOf(index: number, { ports, controllers, advertised }: ClusterParts) {
  const count = ports.length
  const inSync = Math.min(2, count)
  const controller = `127.0.0.1:${controllers[index]}`
  return {
    'process.roles': 'broker,controller',
    'node.id': index + 1,
    'controller.quorum.voters': controllers.map((port, other) => `${other + 1}@127.0.0.1:${port}`).join(','),
    listeners: `PLAINTEXT://127.0.0.1:${ports[index]},CONTROLLER://${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertised[index]}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
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
  }
}

function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, freePort))
}

function answer(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = openSocket(port, '127.0.0.1', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
