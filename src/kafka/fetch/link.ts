import { setTimeout as pause } from 'node:timers/promises'
import { type ClientError, codes } from '../client.js'
import { failureOf } from '../connecting.js'
import { BrokerConnection } from './connection.js'
import type { Address, LaneSettings } from './lane-settings.js'

/** Says nothing of certificates: a handshake that went well before may fail for a passing reason. */
const passing = /^(?!.*(certificate|SSL alert number))/is

/** The way to one broker: a connection where one is wanted, made again, with pauses, when it is lost. */
export class Link {
  private connection: BrokerConnection | undefined
  private opening: Promise<BrokerConnection> | undefined
  private attempt = new AbortController()
  private failures = 0
  private notBefore = 0
  private wasOpen = false
  private reconnect: LaneSettings['reconnect'] = { leastMs: 100, mostMs: 10_000 }

  constructor(
    private readonly address: Address,
    /** Read for each attempt. */
    private readonly settings: () => Promise<LaneSettings>,
    /** A connection of which this errors is given to nobody. */
    private readonly prove: (connection: BrokerConnection) => Promise<void>,
  ) {}

  get isOpen(): boolean {
    return this.connection?.isOpen === true
  }

  /** The less, the sooner it may answer. */
  get trouble(): number {
    if (this.isOpen) return 0
    return this.failures + (this.opening === undefined ? 1 : 1.5)
  }

  /** What is there, or one attempt, however many ask. Errors: `ClientError`. */
  open(): Promise<BrokerConnection> {
    if (this.connection?.isOpen) return Promise.resolve(this.connection)
    this.opening ??= this.openAnew().finally(() => {
      this.opening = undefined
    })
    return this.opening
  }

  /** It may be opened again. */
  close(): void {
    this.attempt.abort(failureOf('the connection was closed', codes.transport))
    this.connection?.close()
    this.connection = undefined
  }

  private async openAnew(): Promise<BrokerConnection> {
    const { signal } = (this.attempt = new AbortController())
    try {
      await pause(Math.max(0, this.notBefore - performance.now()), undefined, { signal })
      const settings = await this.settings()
      this.reconnect = settings.reconnect
      const connection = new BrokerConnection(this.address, settings)
      signal.addEventListener('abort', () => connection.close(), { once: true })
      signal.throwIfAborted()
      await connection.connect()
      await this.prove(connection)
      this.keep(connection)
      return connection
    } catch (error) {
      if (signal.aborted) throw signal.reason
      // So that it is closed whichever step failed.
      this.attempt.abort()
      this.failed()
      throw this.meant(error as Error & ClientError)
    }
  }

  private keep(connection: BrokerConnection): void {
    const since = performance.now()
    this.connection = connection
    this.wasOpen = true
    connection.onLost = () => {
      if (this.connection === connection) this.connection = undefined
      // One that accepts and then hangs up is not there yet.
      if (performance.now() - since > this.reconnect.mostMs) this.failures = 0
      this.failed()
    }
  }

  private failed(): void {
    const { leastMs, mostMs } = this.reconnect
    const pauseMs = Math.min(mostMs, leastMs * 2 ** this.failures++)
    // So that those who lost the same broker don't all come back at once.
    this.notBefore = performance.now() + pauseMs * (0.75 + Math.random() * 0.75)
  }

  private meant(error: Error & ClientError): Error & ClientError {
    const isPassing = this.wasOpen && error.code === codes.ssl && passing.test(error.message)
    return isPassing ? failureOf(error.message, codes.transport, error.broker) : error
  }
}
