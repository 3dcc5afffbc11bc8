import { readFileSync, statSync } from 'node:fs'
import type { SecureContext } from 'node:tls'
import { messageOf } from '../../model/index.js'
import { type ClientError, type ClientSettings, codes } from '../client.js'
import { type GivenToken, type Login, passwordLogin, tokenLogin } from './login.js'
import { secureContext } from './secure-contexts.js'
import { systemAuthorities } from './system-authorities.js'

export interface Address {
  readonly host: string
  readonly port: number
}

/** What connections to brokers need, of the client's settings. */
export interface LaneSettings {
  /** Those to start from. */
  readonly brokers: readonly Address[]
  readonly clientId: string
  readonly tls?: TlsSettings | undefined
  readonly login?: Login | undefined
  readonly family: 0 | 4 | 6
  readonly keepAlive: boolean
  readonly noDelay: boolean
  /** Until when a connection has to be of use: with TLS, and logged in. */
  readonly setupMs: number
  /** How long an answer may take that has nothing to wait for. */
  readonly requestMs: number
  readonly reconnect: { readonly leastMs: number; readonly mostMs: number }
  /** Longer answers are none. */
  readonly mostBytes: number
  /** Where this process is, so that replicas nearby are read; empty where that is not said. */
  readonly rack: string
  /** How much is fetched at once, where the user has a say in that. */
  readonly fetch: {
    readonly minBytes?: number | undefined
    readonly maxWaitMs?: number | undefined
    readonly maxBytes?: number | undefined
    readonly partitionBytes?: number | undefined
    /** Whether batches are checked by their checksums. */
    readonly checksums: boolean
  }
  /** What all this was made of, with the authorities that count. */
  readonly client: ClientSettings
}

export interface TlsSettings {
  readonly context: SecureContext
  readonly rejectUnauthorized: boolean
  readonly checksName: boolean
}

/** As Java's clients have it; the client's own 30 s would be long for who waits behind a host that is down. */
const setupMs = 10_000
const requestMs = 60_000
const mostBytes = 100_000_000
/** Beyond the records that are fetched, as the client has it. */
const overheadBytes = 512
/** The client's `ssl.cipher.suites` are of TLS 1.2, and say nothing of these. */
const newerCiphers = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'

/**
 * Why records can't be read over connections of our own where the client has these settings, in words that go on 'because …';
 * undefined where they can. Nothing is connected for that, and no file is read.
 */
export function laneObstacle(client: ClientSettings): string | undefined {
  return new Settings(client).obstacle()
}

/**
 * What connections need. Files are read now, as the client reads them when it is made. Errors: `ClientError` when they can't
 * be used, and where there is an obstacle.
 */
export function laneSettings(client: ClientSettings): LaneSettings {
  const settings = new Settings(client)
  const obstacle = settings.obstacle()
  if (obstacle !== undefined) throw unusable(`connections of our own can't be made, because ${obstacle}`)
  return settings.ofLane()
}

/** Settings that have to do with connections, and with reading; other ones don't concern the lane. */
const concerning =
  /^(ssl[._]|sasl\.|socket|broker\.|security\.|enable\.(ssl|sasl)\.|client\.dns\.|api\.version\.|connect_cb|closesocket_cb|resolve_cb|plugin\.|interceptors|isolation\.level)/

/** Those that change nothing, or what this lane does anyway. */
const indifferent =
  /^(socket\.(blocking\.max\.ms|max\.fails|send\.buffer\.bytes)|broker\.(address\.ttl|version\.fallback)|api\.version\.(request\.timeout|fallback)\.ms)$/

const taken: ReadonlySet<string> = new Set([
  'security.protocol',
  'ssl.ca.pem',
  'ssl.ca.location',
  'ssl.certificate.pem',
  'ssl.certificate.location',
  'ssl.key.pem',
  'ssl.key.location',
  'ssl.key.password',
  'ssl.cipher.suites',
  'ssl.curves.list',
  'ssl.sigalgs.list',
  'ssl.endpoint.identification.algorithm',
  'enable.ssl.certificate.verification',
  'sasl.mechanism',
  'sasl.mechanisms',
  'sasl.username',
  'sasl.password',
  'sasl.oauthbearer.config',
  'socket.timeout.ms',
  'socket.connection.setup.timeout.ms',
  'socket.keepalive.enable',
  'socket.nagle.disable',
  'broker.address.family',
])

/** Those that are taken with one value only, by which nothing is meant. */
const harmless: Readonly<Record<string, string>> = {
  'socket.receive.buffer.bytes': '0',
  'client.dns.lookup': 'use_all_dns_ips',
  'api.version.request': 'true',
  'isolation.level': 'read_committed',
  'sasl.oauthbearer.method': 'default',
  'enable.sasl.oauthbearer.unsecure.jwt': 'false',
}

const mechanisms: readonly string[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']

class Settings {
  private readonly protocol: string
  private readonly encrypts: boolean
  private readonly logsIn: boolean

  constructor(private readonly client: ClientSettings) {
    this.protocol = this.text('security.protocol')?.toLowerCase() ?? 'plaintext'
    this.encrypts = this.protocol.endsWith('ssl')
    this.logsIn = this.protocol.startsWith('sasl')
  }

  obstacle(): string | undefined {
    for (const [name, value] of Object.entries(this.client))
      if (value !== undefined && this.forbids(name, value)) return `of '${name}' only the client knows what to make`
    if (this.isFolder('ssl.ca.location')) return `'ssl.ca.location' is a folder`
    return this.logsIn ? this.loginObstacle() : undefined
  }

  ofLane(): LaneSettings {
    const maxBytes = this.number('fetch.max.bytes')
    const tls = this.encrypts ? this.tls() : undefined
    return {
      brokers: this.brokers(),
      clientId: this.text('client.id') ?? 'rdkafka',
      tls: tls?.settings,
      login: this.logsIn ? this.login() : undefined,
      family: ({ v4: 4, v6: 6 } as const)[this.text('broker.address.family') ?? ''] ?? 0,
      keepAlive: this.flag('socket.keepalive.enable', false),
      noDelay: this.flag('socket.nagle.disable', true),
      setupMs: this.number('socket.connection.setup.timeout.ms') ?? setupMs,
      requestMs: this.number('socket.timeout.ms') ?? requestMs,
      reconnect: {
        leastMs: this.number('reconnect.backoff.ms') ?? 100,
        mostMs: this.number('reconnect.backoff.max.ms') ?? 10_000,
      },
      mostBytes: Math.max(this.number('receive.message.max.bytes') ?? mostBytes, (maxBytes ?? 0) + overheadBytes),
      rack: this.text('client.rack') ?? '',
      fetch: {
        minBytes: this.number('fetch.min.bytes'),
        maxWaitMs: this.number('fetch.wait.max.ms'),
        maxBytes,
        partitionBytes: this.number('fetch.message.max.bytes', 'max.partition.fetch.bytes'),
        checksums: this.flag('check.crcs', true),
      },
      client: { ...this.client, ...(tls?.ca === undefined ? {} : { 'ssl.ca.pem': tls.ca }) },
    }
  }

  private forbids(name: string, value: unknown): boolean {
    if (!concerning.test(name) || indifferent.test(name) || taken.has(name)) return false
    if (!this.encrypts && /^(ssl[._]|enable\.ssl\.)/.test(name)) return false
    if (!this.logsIn && /^(sasl\.|enable\.sasl\.)/.test(name)) return false
    if (String(value) === harmless[name]) return false
    // Others of these say how to get a ticket, or a token by that method.
    return !/^sasl\.(kerberos|oauthbearer)\.(?!method$)/.test(name)
  }

  private loginObstacle(): string | undefined {
    const mechanism = this.mechanism()
    if (!mechanisms.includes(mechanism)) return `only the client can log in by ${mechanism}`
    const lacksToken = mechanism === 'OAUTHBEARER' && typeof this.client['oauthbearer_token_refresh_cb'] !== 'function'
    return lacksToken ? 'only the client has a way to get its tokens' : undefined
  }

  private brokers(): readonly Address[] {
    const list = this.text('metadata.broker.list', 'bootstrap.servers') ?? ''
    return list.split(',').map((one) => addressOf(one.trim()))
  }

  private mechanism(): string {
    return this.text('sasl.mechanism', 'sasl.mechanisms') ?? 'GSSAPI'
  }

  private login(): Login {
    const token = this.client['oauthbearer_token_refresh_cb'] as (config: string) => Promise<GivenToken>
    const [username, password] = [this.text('sasl.username') ?? '', this.text('sasl.password') ?? '']
    return (
      passwordLogin(this.mechanism(), username, password) ??
      tokenLogin(async () => token(this.text('sasl.oauthbearer.config') ?? ''))
    )
  }

  private tls(): { readonly settings: TlsSettings; readonly ca: string | undefined } {
    const ca = this.pem('ssl.ca') ?? systemAuthorities()
    const [ciphers, cert, key] = [this.text('ssl.cipher.suites'), this.pem('ssl.certificate'), this.pem('ssl.key')]
    try {
      const context = secureContext({
        ca,
        cert,
        key,
        passphrase: this.text('ssl.key.password'),
        ciphers: ciphers === undefined ? undefined : `${newerCiphers}:${ciphers}`,
        ecdhCurve: this.text('ssl.curves.list'),
        sigalgs: this.text('ssl.sigalgs.list'),
      })
      const rejectUnauthorized = this.flag('enable.ssl.certificate.verification', true)
      const checksName = this.text('ssl.endpoint.identification.algorithm') !== 'none'
      return { settings: { context, rejectUnauthorized, checksName }, ca }
    } catch (error) {
      throw unusable(`what the connection's ssl option gives can't be used: ${messageOf(error)}`)
    }
  }

  private pem(name: string): string | undefined {
    const file = this.text(`${name}.location`)
    // Both the client refuses.
    const given = this.text(`${name}.pem`)
    if (given !== undefined || file === undefined || file === 'probe') return given
    try {
      return readFileSync(file, 'utf8')
    } catch (error) {
      throw unusable(`${file} (${name}.location) can't be read: ${messageOf(error)}`)
    }
  }

  private isFolder(name: string): boolean {
    const file = this.encrypts ? this.text(name) : undefined
    return file !== undefined && statSync(file, { throwIfNoEntry: false })?.isDirectory() === true
  }

  /** Of names that mean the same the last one counts. An empty text is none. */
  private text(...names: readonly string[]): string | undefined {
    const found = Object.entries(this.client).findLast(([name]) => names.includes(name))
    const value = found?.[1] as string | number | boolean | undefined
    return value === undefined || value === '' ? undefined : String(value)
  }

  private number(...names: readonly string[]): number | undefined {
    const text = this.text(...names)
    return text === undefined ? undefined : Number(text)
  }

  private flag(name: string, otherwise: boolean): boolean {
    const text = this.text(name)
    return text === undefined ? otherwise : /^(true|t|1)$/i.test(text)
  }
}

/** `host`, `host:port` or `[::1]:port`; before it there may be a protocol, as the client takes it. */
function addressOf(broker: string): Address {
  const [, bracketed, host = bracketed, port = '9092'] =
    /^(?:\w+:\/\/)?(?:\[(.+)\]|([^:]*))(?::(\d+))?$/.exec(broker) ?? []
  return { host: host ?? broker, port: Number(port) }
}

/** As it is written before a port. */
export function addressText({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function unusable(message: string): Error & ClientError {
  return Object.assign(new Error(message), { code: codes.unusable })
}
