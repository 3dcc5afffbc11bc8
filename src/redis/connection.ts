import { Cluster, Redis } from 'ioredis'
import { defer, type Observable } from 'rxjs'
import { type Connection, type ConnectionContext, messageOf } from '../model/index.js'
import { isReadOnly, notReady } from './faults.js'
import { atFirst } from './first-words.js'
import { addressOf, type ConnectionOptions, clientOptions, nodesOf, sentinelOptions } from './options.js'

const connectTimeoutMs = 10_000
const longestPauseMs = 2_000
/** How often a server that loads its data is asked whether it has, ms. */
const loadingPauseMs = 1_000
/** How often a cluster is asked which of its nodes has what: a failover is noticed after this. */
const slotsRefreshMs = 2_000
/** How often a server that is connected to is looked at, ms, and how often it may be found not to be ready. */
const [lookEveryMs, mostLooks] = [500, 3]

type GiveUp = (error: Error) => void

export type RedisClient = Redis | Cluster

/**
 * One connection to a Redis server, or one to each node of a cluster, opened at first use. What is sent over it is
 * carried out in that order, on a cluster in that of each key.
 */
export class RedisConnection implements Connection {
  readonly address: string
  private client: RedisClient | undefined
  /** Ends the waiting of each piece of work. */
  private readonly waiting = new Set<GiveUp>()
  /** Why the server can't be reached, as far as is known. */
  private lastError: Error | undefined

  constructor(
    private readonly options: ConnectionOptions,
    private readonly context: ConnectionContext,
  ) {
    this.address = addressOf(options)
  }

  /** Runs commands. Errors: what the client threw; of a lost connection, why it was lost. */
  run<T>(work: (client: RedisClient) => Promise<T>): Observable<T> {
    return defer(() => this.attempt(work))
  }

  close(): Promise<void> {
    this.client?.disconnect()
    this.client = undefined
    return Promise.resolve()
  }

  private async attempt<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    let giveUp: GiveUp = () => undefined
    // What was sent and not answered when the connection was lost the client itself would leave unanswered for ever.
    const lost = new Promise<never>((_, reject) => this.waiting.add((giveUp = reject)))
    const over = new AbortController()
    try {
      return await Promise.race([this.ready(over.signal).then(work), lost])
    } catch (error) {
      const isAnswer = error instanceof Error && error.name === 'ReplyError'
      throw isAnswer ? error : (this.lastError ?? error)
    } finally {
      this.waiting.delete(giveUp)
      over.abort()
    }
  }

  /**
   * A client is used when it is ready. It goes on connecting for as long as that takes, and what waited in its queue might be
   * carried out when it is of yesterday; nor does it tell that a server is there and still loads its data.
   */
  private async ready(over: AbortSignal): Promise<RedisClient> {
    const client = (this.client ??= this.connect())
    if (client.status !== 'ready') await becoming(client, over)
    return client
  }

  private connect(): RedisClient {
    const { log } = this.context
    const client = this.make()
    let wasReady = false
    const giveUp = () => {
      for (const end of this.waiting) end(new Error('the connection was lost'))
    }
    client.on('ready', () => {
      wasReady = true
      this.lastError = undefined
    })
    client.on('close', giveUp)
    client.on(client instanceof Cluster ? 'node error' : 'error', (error: Error) => {
      this.lastError = wasReady ? error : atFirst(error, this.speaksTls)
      log.debug(`connection to ${this.address}: ${messageOf(error)}`)
    })
    if (client instanceof Cluster) client.on('error', (error: Error) => log.debug(messageOf(error)))
    // No connection is lost when there has been none yet: sentinels that can't be reached are told in no other way.
    else if (this.options.sentinel !== undefined) client.on('error', giveUp)
    return client
  }

  private get speaksTls(): boolean {
    const { url, ssl = false } = this.options
    return ssl !== false || url?.startsWith('rediss:') === true
  }

  private make(): RedisClient {
    const { url, cluster } = this.options
    const options = {
      ...clientOptions(this.options),
      connectionName: this.context.app,
      connectTimeout: connectTimeoutMs,
      // A commit that was sent again might be carried out twice. Whoever sent it asks what became of it.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 1,
      // A server that became a replica: a new connection may lead to the new primary.
      reconnectOnError: isReadOnly,
    }
    if (cluster !== undefined) return new Cluster(nodesOf(cluster), { ...clusterOptions, redisOptions: options })
    const given = { ...options, retryStrategy: pauseMs, maxLoadingRetryTime: loadingPauseMs, enableOfflineQueue: false }
    if (url !== undefined) return new Redis(url, given)
    return new Redis({ ...given, ...sentinelOptions(this.options) })
  }
}

/** Resolves when the client is ready, and never when that is `over` before. Errors when its server is connected to and is not. */
function becoming(client: RedisClient, over: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let looks = 0
    const looking = setInterval(() => {
      looks = client.status === 'connect' ? looks + 1 : 0
      if (looks > mostLooks) reject(notReady())
    }, lookEveryMs)
    const end = () => {
      clearInterval(looking)
      client.off('ready', ready)
    }
    const ready = () => {
      end()
      resolve()
    }
    client.once('ready', ready)
    over.addEventListener('abort', end, { once: true })
  })
}

const clusterOptions = {
  enableOfflineQueue: false,
  clusterRetryStrategy: pauseMs,
  // As above, for what was under way to a node.
  retryDelayOnFailover: 0,
  slotsRefreshInterval: slotsRefreshMs,
  slotsRefreshTimeout: connectTimeoutMs,
}

function pauseMs(attempt: number): number {
  return Math.min(attempt * 100, longestPauseMs)
}
