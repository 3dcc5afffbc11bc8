import type { Logger } from '../model/index.js'
import { call, disconnect, nativeClient, type Producer } from './client.js'

/**
 * librdkafka's mock cluster: the real protocol inside this process, for trying things out. It speaks groups, commits
 * and transactions, keeps about 5 MB of a partition, and forgets all when the process ends.
 */
export class EmbeddedBroker {
  private constructor(
    /** What other clients connect to. */
    readonly bootstrap: string,
    private readonly host: Producer,
  ) {}

  static async start(log: Logger): Promise<EmbeddedBroker> {
    // The cluster lives as long as the client that asked for it, so this one does nothing else.
    const host = new (nativeClient().Producer)({
      'client.id': 'weir-embedded',
      'test.mock.num.brokers': 1,
      log_level: 0,
    } as object)
    const metadata = await call<{ brokers: { host: string; port: number }[] }>((done) =>
      host.connect({ timeout: 5_000 }, done),
    )
    const bootstrap = metadata.brokers.map(({ host, port }) => `${host}:${port}`).join(',')
    log.warn(
      { bootstrap },
      `Kafka: an embedded broker runs at ${bootstrap}. It keeps everything in memory, and all is gone at exit. Set brokers to use a real one.`,
    )
    return new EmbeddedBroker(bootstrap, host)
  }

  async close(): Promise<void> {
    await disconnect(this.host)
  }
}
