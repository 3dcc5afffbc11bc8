import { setTimeout as sleep } from 'node:timers/promises'

export interface PostedEvent {
  readonly user_id: string
  readonly activity_type: string
  readonly timestamp: string
  readonly metadata: { readonly page_url: string; readonly referrer?: string; readonly event: string }
}

/** What the caller knows of an event: 202; an answer that says it was not taken; or neither. */
export type Fate = 'acknowledged' | 'refused' | 'unknown'

/** What became of one request. */
export interface Exchange {
  readonly began: number
  readonly ended: number
  /** 0 when the connection broke, or could not be made. */
  readonly status: number
}

export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What has been posted, and what the answers said: the account that is settled with the topic. */
export class Account {
  readonly fates = new Map<string, Fate>()
  readonly exchanges: Exchange[] = []
  /** Requests that are not answered yet, and the bytes of their bodies. */
  readonly open = { requests: 0, bytes: 0 }
  /** In which of them each event was sent. */
  private readonly sentIn = new Map<string, Exchange>()

  constructor(private readonly url: string) {}

  /** Posts events; `written` changes the body. */
  async post(events: readonly PostedEvent[], written = (body: string) => body): Promise<number> {
    for (const { metadata } of events) this.fates.set(metadata.event, 'unknown')
    const body = written(JSON.stringify(events.length === 1 ? events[0] : events))
    const bytes = Buffer.byteLength(body)
    this.open.requests++
    this.open.bytes += bytes
    const began = Date.now()
    const { status, fate } = await this.send(body)
    this.open.requests--
    this.open.bytes -= bytes
    const exchange = { began, ended: Date.now(), status }
    for (const { metadata } of events) {
      this.fates.set(metadata.event, fate)
      this.sentIn.set(metadata.event, exchange)
    }
    this.exchanges.push(exchange)
    return status
  }

  count(fate: Fate): number {
    return [...this.fates.values()].filter((each) => each === fate).length
  }

  /** Everything in which the topic contradicts the answers. `found` is the events of the topic, repeats included. */
  contradictions(found: Iterable<string>): string[] {
    const times = new Map<string, number>()
    for (const id of found) times.set(id, (times.get(id) ?? 0) + 1)
    return [...this.fates].flatMap(([id, fate]) => {
      const count = times.get(id) ?? 0
      const isRight = fate === 'acknowledged' ? count === 1 : fate === 'refused' ? count === 0 : count <= 1
      return isRight ? [] : [`${id} is ${fate}, and ${count} times in the topic; ${this.exchangeOf(id)}`]
    })
  }

  private exchangeOf(id: string): string {
    const exchange = this.sentIn.get(id)
    if (exchange === undefined) return `sent to ${this.url}, no answer yet`
    const [began, ended] = [exchange.began, exchange.ended].map((ms) => new Date(ms).toISOString())
    return `sent to ${this.url} at ${began}, answered ${exchange.status} at ${ended}`
  }

  private async send(body: string): Promise<{ status: number; fate: Fate }> {
    try {
      const answer = await fetch(`${this.url}/activity`, {
        method: 'POST',
        // A kept connection may be closed by the server just as the next request leaves.
        headers: { 'content-type': 'application/json', connection: 'close' },
        body,
      })
      await answer.text()
      const { status } = answer
      return { status, fate: status === 202 ? 'acknowledged' : status === 500 ? 'unknown' : 'refused' }
    } catch (error) {
      const { code } = (error as { cause?: { code?: string } }).cause ?? {}
      return { status: 0, fate: code === 'ECONNREFUSED' ? 'refused' : 'unknown' }
    }
  }
}

export interface TrafficOptions {
  readonly seed: number
  /** How many callers post, each one request at a time. Default 4. */
  readonly callers?: number
  /** The most events in a request. Default 20. */
  readonly most?: number
  /** The longest pause between two requests of a caller, ms. Default 20. */
  readonly pauseMs?: number
}

/** Callers that post events of now, each with a name of its own, until they are told to stop. */
export class Traffic {
  readonly account: Account
  private readonly random: () => number
  private stopped = false
  private readonly done: Promise<unknown>

  constructor(
    url: string,
    private readonly options: TrafficOptions,
  ) {
    this.account = new Account(url)
    this.random = random(options.seed)
    this.done = Promise.all(Array.from({ length: options.callers ?? 4 }, () => this.call()))
  }

  /** Resolves when the last answer has come. */
  async stop(): Promise<Account> {
    this.stopped = true
    await this.done
    return this.account
  }

  private async call(): Promise<void> {
    const { most = 20, pauseMs = 20 } = this.options
    while (!this.stopped) {
      const count = 1 + Math.floor(this.random() * most)
      const status = await this.account.post(Array.from({ length: count }, () => this.event()))
      await sleep(status === 202 ? this.random() * pauseMs : 50)
    }
  }

  private event(): PostedEvent {
    return madeEvent(this.random, Date.now() - Math.floor(this.random() * 300))
  }
}

let made = 0

/** An event of one of forty users at a time in ms; two of three are page views. */
export function madeEvent(next: () => number, time: number): PostedEvent {
  return {
    user_id: `user-${Math.floor(next() * 40)}`,
    activity_type: next() < 2 / 3 ? 'page_view' : 'click',
    timestamp: new Date(time).toISOString(),
    metadata: { page_url: `/page/${Math.floor(next() * 100)}`, event: `e${made++}` },
  }
}
