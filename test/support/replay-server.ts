import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomOf } from '../../src/sources/generate/random.js'
import type { Recorded } from './wikimedia-captures.js'

/** What goes wrong, each as a chance from 0 to 1. */
export interface Faults {
  /** Of each piece: the connection is dropped after it, in the midst of a line or a character as it comes. */
  readonly drop?: number
  /** Of each event: an earlier one is sent once more after it. */
  readonly repeat?: number
  /** Of each event: it is sent after up to four that follow it. */
  readonly delay?: number
  /** Of each event: something before it that is no JSON. */
  readonly garbage?: number
  /** Of each connection: it begins with a line of a megabyte. */
  readonly endless?: number
  /** Of each request: a status of 500. */
  readonly error?: number
  /** Of each request: it is sent somewhere else, which answers. */
  readonly redirect?: number
  /** Of each request: a page of HTML. */
  readonly foreign?: number
  /** Of each request: an answer without a body. */
  readonly silence?: number
}

export interface ReplayOptions {
  readonly events: readonly Recorded[]
  /** How much faster than recorded; Infinity, the default, is as fast as it is read. */
  readonly speed?: number
  /** Another seed makes other faults. */
  readonly seed?: number
  readonly faults?: Faults
  /** The largest piece that is written at once. Default 16,384. */
  readonly pieceBytes?: number
  /** What the stream says in `retry:`, ms. Default 20. */
  readonly retryMs?: number
}

/** As far as an event is delayed, and so as far as a stream goes back that is resumed. */
const window = 5

/**
 * Serves recorded events as Wikimedia does: after `Last-Event-ID` it goes on with the first event of that id, so that at
 * least this one comes again. After the last event it sends comments. What goes wrong follows from the seed.
 */
export class ReplayServer {
  readonly requests: { readonly lastEventId: string | undefined; readonly userAgent: string | undefined }[] = []
  /** How many events were sent, those that were sent again too. */
  sent = 0
  /** What was sent in place of JSON. */
  readonly garbage: string[] = []
  private speed: number
  private readonly server = createServer((request, response) => {
    void this.answer(request, response).catch(() => response.destroy())
  })
  private readonly open = new Set<ServerResponse>()

  private constructor(private readonly options: ReplayOptions) {
    this.speed = options.speed ?? Number.POSITIVE_INFINITY
  }

  static async start(options: ReplayOptions): Promise<ReplayServer> {
    const server = new ReplayServer(options)
    server.server.listen(0, '127.0.0.1')
    await once(server.server, 'listening')
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v2/stream/recentchange`
  }

  /** Drops every connection. */
  drop(): void {
    for (const response of this.open) response.destroy()
  }

  /** From now on as fast as it is read. */
  hurry(): void {
    this.speed = Number.POSITIVE_INFINITY
    this.drop()
  }

  async close(): Promise<void> {
    this.drop()
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const lastEventId = request.headers['last-event-id'] as string | undefined
    const number = this.requests.push({ lastEventId, userAgent: request.headers['user-agent'] })
    const random = randomOf(this.options.seed ?? 1, number)
    const { error = 0, redirect = 0, foreign = 0, silence = 0 } = this.options.faults ?? {}
    this.open.add(response.on('close', () => this.open.delete(response)))
    if (random() < error) return void response.writeHead(500).end('no')
    if (random() < redirect && request.url?.endsWith('?moved') !== true) {
      return void response.writeHead(307, { location: `${this.url}?moved` }).end()
    }
    if (random() < foreign) {
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>data: {}\n\n')
    }
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    if (random() < silence) return response.flushHeaders()
    await this.stream(outOf(response), this.startOf(lastEventId), random)
  }

  private startOf(lastEventId: string | undefined): number {
    if (lastEventId === undefined) return 0
    const id = Buffer.from(lastEventId, 'latin1').toString()
    const index = this.options.events.findIndex((event) => event.id === id)
    const goesBack = this.options.faults?.delay === undefined ? 0 : window
    return Math.max(0, index - goesBack)
  }

  private async stream(out: Out, from: number, random: () => number): Promise<void> {
    const { retryMs = 20, faults: { endless = 0 } = {} } = this.options
    await this.write(out, `:ok\n\nretry: ${retryMs}\n\n`, random)
    if (random() < endless) await this.write(out, `data: ${'x'.repeat(1_000_000)}\n\n`, random)
    const began = Date.now()
    const firstMs = this.options.events[from]?.atMs ?? 0
    for (const { atMs, text } of this.script(from, random)) {
      const waitMs = began + (atMs - firstMs) / this.speed - Date.now()
      if (waitMs > 1) await sleep(waitMs)
      await this.write(out, text, random)
    }
    while (!out.gone.aborted) {
      await this.write(out, ':\n\n', random)
      await sleep(100)
    }
  }

  /** The frames of one connection, in the order in which they are sent. */
  private *script(from: number, random: () => number): Generator<{ readonly atMs: number; readonly text: string }> {
    const { events, faults: { repeat = 0, delay = 0, garbage = 0 } = {} } = this.options
    let held: { readonly event: Recorded; readonly until: number }[] = []
    for (let index = from; index < events.length + window; index++) {
      const event = events[index]
      if (event !== undefined) {
        if (random() < garbage) yield { atMs: event.atMs, text: `data: ${this.spoil(random)}\n\n` }
        if (random() < delay) held.push({ event, until: index + 1 + Math.floor(random() * (window - 1)) })
        else yield this.frame(event)
        if (random() < repeat) yield this.frame(events[Math.max(0, index - Math.floor(random() * 50))] as Recorded)
      }
      const due = held.filter(({ until }) => until <= index)
      held = held.filter(({ until }) => until > index)
      for (const late of due) yield this.frame(late.event)
    }
  }

  private spoil(random: () => number): string {
    const text = `no JSON ${random()}`
    this.garbage.push(text)
    return text
  }

  private frame({ id, data, atMs }: Recorded) {
    this.sent++
    return { atMs, text: `event: message\nid: ${id}\ndata: ${data}\n\n` }
  }

  /** Writes in pieces that are cut anywhere, and now and then drops the connection between two. */
  private async write({ response, gone }: Out, text: string, random: () => number): Promise<void> {
    const { pieceBytes = 16_384, faults: { drop = 0 } = {} } = this.options
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + Math.floor(random() * pieceBytes)
      gone.throwIfAborted()
      if (!response.write(bytes.subarray(at, end))) await once(response, 'drain', { signal: gone })
      at = end
      if (random() < drop) return void response.destroy()
    }
  }
}

interface Out {
  readonly response: ServerResponse
  readonly gone: AbortSignal
}

function outOf(response: ServerResponse): Out {
  const controller = new AbortController()
  response.once('close', () => controller.abort())
  return { response, gone: controller.signal }
}
