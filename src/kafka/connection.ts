import { type Connection, type ConnectionContext, WeirError } from '../model/index.js'
import { TopicAdmin } from './admin.js'
import type { ClientSettings } from './client.js'
import { EmbeddedBroker } from './embedded.js'
import { brokerList, type ConnectionOptions } from './options.js'
import { securitySettings } from './security.js'

/** The way to one Kafka cluster, as the sources and sinks of a configuration share it. */
export class KafkaConnection implements Connection {
  readonly address: string
  readonly topics: TopicAdmin
  private embedded: Promise<EmbeddedBroker> | undefined
  private readonly closing = new Set<Promise<unknown>>()
  private readonly owned = new Set<() => Promise<unknown>>()

  constructor(
    private readonly options: ConnectionOptions,
    readonly context: ConnectionContext,
  ) {
    this.address = brokerList(options.brokers)
    if (this.isEmbedded && context.production) {
      throw new WeirError(
        'WEIR_CONFIG_EMBEDDED',
        `opening connection '${context.name}': an embedded Kafka broker keeps nothing, and this is production`,
        {
          hint: 'Set its option brokers to those of a real cluster.',
        },
      )
    }
    // The mock cluster answers no admin request, but makes a topic whose metadata are asked for.
    const making = this.isEmbedded ? { 'allow.auto.create.topics': true } : { 'allow.auto.create.topics': false }
    this.topics = new TopicAdmin(
      async () => ({ ...(await this.settings()), ...making }),
      this.address,
      !this.isEmbedded,
    )
  }

  /** `host:port,…` of the brokers. Starts the embedded one where that was asked for. */
  async bootstrap(): Promise<string> {
    if (!this.isEmbedded) return this.address
    this.embedded ??= EmbeddedBroker.start(this.context.log)
    return (await this.embedded).bootstrap
  }

  /**
   * What every client of this connection starts from. Files are read anew for each, so that one that is made after a
   * certificate was renewed has the new one. Errors: `ClientError` when they can't be used.
   */
  async settings(): Promise<ClientSettings> {
    const { clientId, client } = this.options
    return {
      'metadata.broker.list': await this.bootstrap(),
      'client.id': clientId ?? this.context.app,
      'socket.keepalive.enable': true,
      // Down to a tenth of the usual: a broker that came back shall be used at once, not seconds later.
      'reconnect.backoff.ms': 50,
      'reconnect.backoff.max.ms': 1_000,
      // The mock cluster gives the markers of transactions none.
      ...(this.isEmbedded ? { 'check.crcs': false } : {}),
      ...securitySettings(this.options),
      ...client,
    }
  }

  /** What every member of a group starts from. */
  async memberSettings(): Promise<ClientSettings> {
    // Heartbeats have a thread of their own, so a busy process is not taken for a dead one: a dead one's partitions need
    // not wait the usual 45 s. The mock cluster keeps the place of a member that left until its session ends. By a
    // heartbeat a member learns that another one joins or leaves, and until all have learned it the group stands still:
    // the usual 3 s would be the pause of a rebalance.
    const sessionMs = this.isEmbedded ? 6_000 : 10_000
    return { 'session.timeout.ms': sessionMs, 'heartbeat.interval.ms': 500, ...(await this.settings()) }
  }

  /** Makes `close` wait for a client that is being closed. */
  closes(closed: Promise<unknown>): void {
    const settled = closed.catch(() => undefined).finally(() => this.closing.delete(settled))
    this.closing.add(settled)
  }

  /** Makes `close` close something first that lives as long as the connection. */
  owns(close: () => Promise<unknown>): void {
    this.owned.add(close)
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.owned].map((close) => close()))
    await Promise.all([...this.closing, this.topics.close()])
    await (await this.embedded)?.close()
  }

  get isEmbedded(): boolean {
    return this.address === 'embedded'
  }
}
