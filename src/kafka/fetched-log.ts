import { isSamePartition, type Position, partitionName } from '../model/index.js'
import { type ClientError, type ClientSettings, codes, type Message } from './client.js'
import { failureOf } from './connecting.js'
import { isHopeless } from './errors.js'
import { Brokers, beginningsOf, Fetcher, laneSettings } from './fetch/index.js'
import { type LogWay, mostMessages, pollMs } from './log-way.js'

/** The end of a log is told by an answer without records, for which nobody is woken. */
const stepMs = 10

/** Logs are read past the client, as sources are. */
export class FetchedLog implements LogWay {
  readonly ended = new Set<string>()
  private readonly brokers: Brokers
  private readonly fetcher: Fetcher
  private assigned: readonly Position[] = []
  private failure: ClientError | undefined
  private wake: () => void = () => undefined

  /** Errors: `ClientError` when the settings can't be used. */
  constructor(settings: ClientSettings) {
    this.brokers = new Brokers(() => Promise.resolve(settings))
    const { rack, fetch } = laneSettings(settings)
    this.fetcher = new Fetcher(
      this.brokers,
      { rack, ...fetch },
      { arrived: () => this.wake(), throttled: () => undefined, failed: (error) => this.failed(error) },
    )
  }

  connect(): Promise<void> {
    return this.brokers.refresh([])
  }

  assign(positions: readonly Position[]): void {
    this.ended.clear()
    this.fetcher.remove(this.assigned)
    this.assigned = positions
    this.fetcher.set(positions)
  }

  async poll(): Promise<readonly Message[]> {
    const until = performance.now() + pollMs
    const before = this.ended.size
    let messages = this.taken()
    while (messages.length === 0 && this.ended.size === before && performance.now() < until) {
      await this.passOver()
      await this.arrival()
      messages = this.taken()
    }
    return messages
  }

  positions(): readonly Position[] {
    return this.fetcher.positions()
  }

  close(): Promise<void> {
    this.fetcher.close()
    this.wake()
    return Promise.resolve()
  }

  private taken(): readonly Message[] {
    if (this.failure !== undefined) throw this.failure as unknown as Error
    const { fetcher } = this
    const messages: Message[] = []
    while (fetcher.head !== undefined && messages.length < mostMessages) {
      fetcher.head.take(mostMessages - messages.length, messages)
      if (fetcher.head.left === 0) fetcher.shift()
    }
    for (const log of this.assigned) if (fetcher.isAtEnd(log)) this.ended.add(partitionName(log))
    return messages
  }

  /** What was deleted before it could be read. Behind the end of a log nothing says where to go on. */
  private async passOver(): Promise<void> {
    const strays = this.fetcher.strays()
    if (strays.length === 0) return
    const beginnings = await beginningsOf(this.brokers, strays).catch(() => [])
    for (const beginning of beginnings) {
      const stray = this.fetcher.strays().find((one) => isSamePartition(one, beginning))
      if (stray === undefined) continue
      if (beginning.offset > stray.offset) this.fetcher.set([beginning])
      else this.failed(failureOf(`${partitionName(stray)}: there is no offset ${stray.offset}`, codes.logTruncated))
    }
  }

  private arrival(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, stepMs)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private failed(error: ClientError): void {
    if (!isHopeless(error) && error.code !== codes.unreadable && error.code !== codes.logTruncated) return
    this.failure = error
    this.wake()
  }
}
