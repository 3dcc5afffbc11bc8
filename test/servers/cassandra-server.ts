import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auth, Client } from 'cassandra-driver'
import { fetchJars, type JavaServer, missingJars } from './maven-jars.js'
import { ServerProcess } from './server-process.js'
import { freePort } from './server-support.js'

const java: JavaServer = {
  name: 'Cassandra',
  version: '5.0.5',
  dependencies: [['org.apache.cassandra', 'cassandra-all', '5.0.5']],
}
const upMs = 240_000

/** A Cassandra of one node that wants a password, on loopback ports that stay the same over restarts. */
export class CassandraServer {
  readonly dataCenter = 'datacenter1'
  readonly username = 'cassandra'
  readonly password = 'cassandra'

  private constructor(
    private readonly jars: string,
    private readonly process: ServerProcess,
    readonly port: number,
    private readonly storagePort: number,
  ) {}

  static async start(): Promise<CassandraServer> {
    const directory = mkdtempSync(join(tmpdir(), 'weir-cassandra-'))
    const process = new ServerProcess({ directory, upMs })
    const server = new CassandraServer(fetchJars(java), process, await freePort(), await freePort())
    writeFileSync(join(directory, 'cassandra.yaml'), server.settings())
    writeFileSync(join(directory, 'logback.xml'), logback)
    await server.start()
    return server
  }

  get contactPoint(): string {
    return `127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const args = [...this.javaOptions(), 'org.apache.cassandra.service.CassandraDaemon']
    if (await this.process.start('java', args, () => this.connect())) return
    throw new Error(`starting Cassandra: it does not come up\n${this.process.said.slice(-4_000)}`)
  }

  /** As a machine that loses power, but for what the system still writes. */
  kill(): Promise<void> {
    return this.process.end('SIGKILL')
  }

  /** Stops it for good and removes its files. */
  async close(): Promise<void> {
    await this.kill()
    this.process.remove()
  }

  /** Runs one statement on a connection of its own. */
  async query<R>(query: string, params: unknown[] = []): Promise<R[]> {
    const client = this.client()
    try {
      return (await client.execute(query, params, { prepare: true })).rows as unknown as R[]
    } finally {
      await client.shutdown()
    }
  }

  private client(): Client {
    return new Client({
      contactPoints: [this.contactPoint],
      localDataCenter: this.dataCenter,
      authProvider: new auth.PlainTextAuthProvider(this.username, this.password),
    })
  }

  private async connect(): Promise<void> {
    // The driver is no cheap way to find out that nobody listens.
    const socket = createConnection(this.port, '127.0.0.1')
    await once(socket, 'connect').finally(() => socket.destroy())
    const client = this.client()
    try {
      await client.connect()
    } finally {
      await client.shutdown()
    }
  }

  private javaOptions(): string[] {
    const opened = Object.entries({ '--add-exports': exported, '--add-opens': open }).flatMap(([option, modules]) =>
      Object.entries(modules).flatMap(([module, packages]) =>
        packages.flatMap((name) => [option, `${module}/${name}=ALL-UNNAMED`]),
      ),
    )
    const properties = {
      'cassandra.config': `file://${join(this.process.directory, 'cassandra.yaml')}`,
      'cassandra.storagedir': this.process.directory,
      'logback.configurationFile': join(this.process.directory, 'logback.xml'),
      'cassandra-foreground': 'yes',
      'jdk.attach.allowAttachSelf': 'true',
      // One node has nobody to wait for.
      'cassandra.skip_wait_for_gossip_to_settle': '0',
      'cassandra.ring_delay_ms': '0',
      'cassandra.superuser_setup_delay_ms': '0',
      // Passwords that nobody would want to guess need no slow hash.
      'cassandra.auth_bcrypt_gensalt_log2_rounds': '4',
    }
    return [
      ...quickStart,
      ...opened,
      ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
      '-cp',
      `${this.jars}/*`,
    ]
  }

  private settings(): string {
    const folder = (name: string) => join(this.process.directory, name)
    return Object.entries({
      cluster_name: 'weir',
      num_tokens: 1,
      partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner',
      authenticator: 'PasswordAuthenticator',
      authorizer: 'CassandraAuthorizer',
      endpoint_snitch: 'SimpleSnitch',
      listen_address: '127.0.0.1',
      rpc_address: '127.0.0.1',
      native_transport_port: this.port,
      storage_port: this.storagePort,
      seed_provider: [
        {
          class_name: 'org.apache.cassandra.locator.SimpleSeedProvider',
          parameters: [{ seeds: `127.0.0.1:${this.storagePort}` }],
        },
      ],
      commitlog_sync: 'periodic',
      commitlog_sync_period: '10000ms',
      commitlog_segment_size: '8MiB',
      commitlog_directory: folder('commitlog'),
      data_file_directories: [folder('data')],
      hints_directory: folder('hints'),
      saved_caches_directory: folder('caches'),
      cdc_raw_directory: folder('cdc'),
      memtable_heap_space: '48MiB',
      memtable_offheap_space: '16MiB',
      concurrent_compactors: 1,
      auto_snapshot: false,
    })
      .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
      .join('')
  }
}

/** Why the real server can't be started here; undefined when it can. Errors instead where real servers are required. */
export function missingCassandra(): string | undefined {
  return missingJars(java)
}

const quickStart = ['-Xms256M', '-Xmx512M', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xss512k']

/** What of Java's own Cassandra needs to reach into. */
const exported = {
  'java.base': ['jdk.internal.misc', 'java.lang.ref'],
  'java.management.rmi': ['com.sun.jmx.remote.internal.rmi'],
  'java.rmi': ['sun.rmi.registry', 'sun.rmi.server', 'sun.rmi.transport.tcp'],
  'java.sql': ['java.sql'],
  'jdk.unsupported': ['sun.misc'],
}
const open = {
  'java.base': [
    'java.io',
    'java.lang',
    'java.lang.module',
    'java.lang.reflect',
    'java.nio',
    'java.util',
    'java.util.concurrent',
    'java.util.concurrent.atomic',
    'jdk.internal.loader',
    'jdk.internal.math',
    'jdk.internal.module',
    'jdk.internal.ref',
    'jdk.internal.reflect',
    'jdk.internal.util.jar',
    'sun.nio.ch',
  ],
  'java.rmi': ['sun.rmi.transport.tcp'],
  'jdk.management': ['com.sun.management.internal'],
}

const logback = `<configuration>
<appender name="out" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%level %logger{20} %msg%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="out"/></root>
</configuration>
`
