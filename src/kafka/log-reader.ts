import { type ErrorCode, type Position, partitionName, WeirError } from '../model/index.js'
import { type ClientError, type ClientSettings, codes, type Message } from './client.js'
import { ClientLog } from './client-log.js'
import { laneObstacle } from './fetch/index.js'
import { FetchedLog } from './fetched-log.js'
import type { LogWay } from './log-way.js'

/** How long a log that has more to read may bring nothing, ms. */
const stallMs = 20_000
const defaults = {
  // The end of a log is told by an empty answer, and those are held back so long.
  'fetch.wait.max.ms': 10,
}
/** A replica nearby may lag behind its leader: it would say that a log ends before what was committed last. */
const leadersOnly = { 'client.rack': '' }

/**
 * Reads logs from given positions on, only what is committed, as no member of any group: past the client where its settings
 * and the logs allow that.
 */
export class LogReader {
  private readonly settings: ClientSettings
  private way: LogWay | undefined

  constructor(
    settings: ClientSettings,
    /** What the logs are, for the error that nothing comes. */
    private readonly reading: { readonly code: ErrorCode; readonly doing: string } = {
      code: 'WEIR_CHECKPOINT_UNREACHABLE',
      doing: 'reading checkpoints',
    },
  ) {
    this.settings = { ...defaults, ...settings, ...leadersOnly }
  }

  /** Errors: `ClientError` when no broker answers, or one refuses. */
  async connect(): Promise<void> {
    this.way = laneObstacle(this.settings) === undefined ? new FetchedLog(this.settings) : new ClientLog(this.settings)
    await this.way.connect()
  }

  /** From now on reads there, and nothing else. Only what is connected can do so. */
  assign(positions: readonly Position[]): void {
    this.connected.assign(positions)
  }

  /** Whether all that was committed in the log has been read at some moment since it was assigned. */
  hasEnded(log: { topic: string; partition: number }): boolean {
    return this.connected.ended.has(partitionName(log))
  }

  /** How many of the logs `hasEnded` holds for. */
  get endedCount(): number {
    return this.connected.ended.size
  }

  /**
   * Hands every message to `visit` until `isDone`.
   * Errors: WEIR_CHECKPOINT_UNREACHABLE, or what it was told, when nothing comes for 20 s.
   */
  async read(visit: (message: Message) => void, isDone: () => boolean): Promise<void> {
    let progressAt = performance.now()
    while (!isDone()) {
      const before = this.endedCount
      const messages = await this.poll()
      for (const message of messages) visit(message)
      if (messages.length > 0 || this.endedCount > before) progressAt = performance.now()
      else if (performance.now() - progressAt > stallMs) {
        const { code, doing } = this.reading
        throw new WeirError(code, `${doing}: nothing came for ${stallMs / 1_000} s`, {
          hint: 'A transaction that nobody ends may hold the log up: the brokers abort it in time.',
        })
      }
    }
  }

  /** The next messages; none where a log has come to its end instead. Errors as `read`. */
  async next(): Promise<readonly Message[]> {
    const messages: Message[] = []
    const before = this.endedCount
    await this.read(
      (message) => messages.push(message),
      () => messages.length > 0 || this.endedCount > before,
    )
    return messages
  }

  /** What has come meanwhile, at most 500 messages; waits 50 ms for the first. Errors when the brokers refuse this client. */
  async poll(): Promise<readonly Message[]> {
    const way = this.connected
    try {
      return await way.poll()
    } catch (error) {
      if ((error as ClientError).code !== codes.unreadable || !(way instanceof FetchedLog)) throw error
      await this.goByClient(way)
      return []
    }
  }

  async close(): Promise<void> {
    await this.way?.close()
  }

  /** Old formats of records only the client can read. */
  private async goByClient(before: FetchedLog): Promise<void> {
    const positions = before.positions()
    await before.close()
    this.way = new ClientLog(this.settings)
    await this.way.connect()
    this.way.assign(positions)
  }

  private get connected(): LogWay {
    if (this.way === undefined) throw new Error('a reader of logs has to be connected first')
    return this.way
  }
}
