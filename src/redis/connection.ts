import { Redis } from 'ioredis'
import { defer, type Observable } from 'rxjs'
import { type Connection, type ConnectionContext, messageOf } from '../model/index.js'
import { addressOf, type ConnectionOptions, clientOptions } from './options.js'

const connectTimeoutMs = 10_000
const longestPauseMs = 2_000

type GiveUp = (error: Error) => void

/** One connection to a Redis server, opened at first use; what is sent over it is carried out in that order. */
export class RedisConnection implements Connection {
  readonly address: string
  private client: Redis | undefined
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
  run<T>(work: (client: Redis) => Promise<T>): Observable<T> {
    return defer(() => this.attempt(work))
  }

  close(): Promise<void> {
    this.client?.disconnect()
    this.client = undefined
    return Promise.resolve()
  }

  private async attempt<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    let giveUp: GiveUp = () => undefined
    // What was sent and not answered when the connection was lost the client itself would leave unanswered for ever.
    const lost = new Promise<never>((_, reject) => this.waiting.add((giveUp = reject)))
    try {
      return await Promise.race([work((this.client ??= this.connect())), lost])
    } catch (error) {
      const isAnswer = error instanceof Error && error.name === 'ReplyError'
      throw isAnswer ? error : (this.lastError ?? error)
    } finally {
      this.waiting.delete(giveUp)
    }
  }

  private connect(): Redis {
    const { app, log } = this.context
    const client = new Redis(this.options.url, {
      ...clientOptions(this.options),
      connectionName: app,
      connectTimeout: connectTimeoutMs,
      // A commit that was sent again might be carried out twice. Whoever sent it asks what became of it.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 1,
      retryStrategy: (times) => Math.min(times * 100, longestPauseMs),
      // A server that became a replica: a new connection may lead to the new primary.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    })
    client.on('ready', () => {
      this.lastError = undefined
    })
    client.on('close', () => {
      for (const giveUp of this.waiting) giveUp(new Error('the connection was lost'))
    })
    client.on('error', (error: Error) => {
      this.lastError = error
      log.debug(`connection to ${this.address}: ${messageOf(error)}`)
    })
    return client
  }
}
