import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { finalize, NEVER, type Observable, Subscription, tap } from 'rxjs'
import { z } from 'zod'
import {
  type Clock,
  type HttpRoute,
  type SourceContext,
  type SourceTask,
  type StreamRecord,
  systemClock,
} from '../../src/model/index.js'
import { feedDefinition } from '../../src/sources/feed.js'
import { generateDefinition } from '../../src/sources/generate.js'
import { httpPost } from '../../src/sources/http.js'
import { scheduleDefinition } from '../../src/sources/schedule.js'
import { sseDefinition } from '../../src/sources/sse.js'
import { SourceBench } from '../support/source-bench.js'
import {
  comesLater,
  done,
  frees,
  holdsBack,
  isRefused,
  replays,
  rewinds,
  type SourceUnderTest,
  sourceContract,
} from './sources.contract.js'

/** A source of one partition, whose positions and stores are kept by the test. */
abstract class SourceOnBench implements SourceUnderTest {
  private bench: SourceBench

  constructor(
    private readonly topic: string,
    private readonly clock: Clock = systemClock,
  ) {
    this.bench = new SourceBench({ topic, partition: 0 }, clock)
  }

  abstract build(context: SourceContext): SourceTask
  abstract give(from: number, count: number): void
  abstract number(record: StreamRecord): number
  abstract empty(): void

  reset(): void {
    this.bench = new SourceBench({ topic: this.topic, partition: 0 }, this.clock)
    this.empty()
  }

  open(): SourceTask {
    return this.bench.open((context) => this.build(context))
  }

  commit(task: SourceTask): Promise<void> {
    return done(this.bench.commit(task))
  }

  rewind(task: SourceTask): Promise<void> {
    return done(this.bench.rewind(task))
  }

  positions() {
    return this.bench.positions
  }

  close(): Promise<void> | void {}
}

class Generated extends SourceOnBench {
  private count = 0

  constructor() {
    super('generate:numbers')
  }

  empty(): void {
    this.count = 0
  }

  give(from: number, count: number): void {
    this.count = from + count
  }

  build(context: SourceContext): SourceTask {
    const value = (_random: () => number, index: number) => index
    const options = generateDefinition.options.parse({ rate: 10_000, start: 0, count: this.count, value })
    return generateDefinition.build(options, context)
  }

  number({ value }: StreamRecord): number {
    return value as number
  }
}

/** A clock on which a second passes as soon as somebody waits for it, up to the last that was given. */
class GivenSeconds implements Clock {
  private second = 0
  private last = 0
  private readonly waiting = new Set<() => void>()

  readonly now = () => this.second * 1_000

  readonly scheduler: Clock['scheduler'] = {
    now: this.now,
    schedule: (work, delay = 0, state) => {
      const over = new Subscription()
      const wait = () => {
        this.waiting.delete(wait)
        if (over.closed) return
        if (delay > 0 && this.second >= this.last) return void this.waiting.add(wait)
        if (delay > 0) this.second++
        ;(work as (this: unknown, given: unknown) => void).call(undefined, state)
      }
      over.add(() => this.waiting.delete(wait))
      setImmediate(wait)
      return over
    },
  }

  give(last: number): void {
    this.last = last
    for (const wait of this.waiting) setImmediate(wait)
  }

  reset(): void {
    this.second = this.last = 0
    this.waiting.clear()
  }
}

/** A run each second. */
class Scheduled extends SourceOnBench {
  constructor(private readonly seconds = new GivenSeconds()) {
    super('schedule:numbers', seconds)
  }

  empty(): void {
    this.seconds.reset()
  }

  give(from: number, count: number): void {
    this.seconds.give(from + count)
  }

  build(context: SourceContext): SourceTask {
    const options = scheduleDefinition.options.parse({ cron: '* * * * * *', overlap: 'allow' })
    return scheduleDefinition.build(options, context)
  }

  /** The first is that of the first second. */
  number({ timestamp }: StreamRecord): number {
    return timestamp / 1_000 - 1
  }
}

/** A system that is reached over HTTP. */
abstract class Served extends SourceOnBench {
  protected readonly open$ = new Set<ServerResponse>()
  private readonly server = createServer((request, response) => {
    this.open$.add(response.once('close', () => this.open$.delete(response)))
    this.answer(response, request.headers['last-event-id'] as string | undefined)
  })

  abstract answer(response: ServerResponse, lastEventId: string | undefined): void

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`
  }

  held(): number {
    return this.open$.size
  }

  override async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

class Fed extends Served {
  private items: number[] = []

  constructor() {
    super('feed:numbers')
  }

  empty(): void {
    this.items = []
  }

  give(from: number, count: number): void {
    for (let number = from; number < from + count; number++) this.items.push(number)
  }

  answer(response: ServerResponse): void {
    setTimeout(() => response.end(JSON.stringify(this.items)), 20)
  }

  build(context: SourceContext): SourceTask {
    const options = feedDefinition.options.parse({
      url: this.url,
      items: (document: unknown) => document as number[],
      id: String,
      time: (item: number) => item,
      every: 10,
    })
    return feedDefinition.build(options, context)
  }

  number({ value }: StreamRecord): number {
    return value as number
  }
}

class Streamed extends Served {
  private count = 0
  private sent = 0
  private refuses = false
  private grown = () => undefined as unknown

  constructor() {
    super('sse:numbers')
  }

  empty(): void {
    for (const response of this.open$) response.destroy()
    this.count = 0
    this.sent = 0
    this.refuses = false
  }

  give(from: number, count: number): void {
    this.count = from + count
    this.grown()
  }

  given(): number {
    return this.sent
  }

  refuse(): void {
    this.refuses = true
    for (const response of this.open$) response.destroy()
  }

  answer(response: ServerResponse, lastEventId = '-1'): void {
    if (this.refuses) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 10\n\n')
    let next = Number(lastEventId) + 1
    const write = () => {
      while (next < this.count && !response.destroyed) {
        this.sent++
        if (!response.write(`id: ${next}\ndata: ${next++} ${'x'.repeat(10_000)}\n\n`)) return
      }
    }
    response.on('drain', write)
    this.grown = write
    write()
  }

  build(context: SourceContext): SourceTask {
    return sseDefinition.build(sseDefinition.options.parse({ url: this.url }), context)
  }

  number({ value }: StreamRecord): number {
    return Number.parseInt(value as string, 10)
  }
}

class Posted extends SourceOnBench {
  private waiting: number[] = []
  private route: HttpRoute | undefined

  constructor() {
    super('http:/numbers')
  }

  empty(): void {
    this.waiting = []
  }

  give(from: number, count: number): void {
    for (let number = from; number < from + count; number++) this.waiting.push(number)
    this.post()
  }

  held(): number {
    return this.route === undefined ? 0 : 1
  }

  build(context: SourceContext): SourceTask {
    const serve = (route: HttpRoute): Observable<never> =>
      NEVER.pipe(
        tap({
          subscribe: () => {
            this.route = route
            queueMicrotask(() => this.post())
          },
        }),
        finalize(() => {
          this.route = undefined
        }),
      )
    const options = httpPost.options.parse({ path: '/numbers', body: z.number() })
    return httpPost.build(options, { ...context, http: { serve } })
  }

  number({ value }: StreamRecord): number {
    return value as number
  }

  private post(): void {
    const { route } = this
    if (route === undefined) return
    for (const body of this.waiting.splice(0)) {
      route.handle({ body, bytes: 1, headers: {}, rawHeaders: [], query: {}, correlationId: String(body) }).subscribe()
    }
  }
}

sourceContract('generate', () => new Generated(), replays)
sourceContract('schedule', () => new Scheduled(), rewinds, comesLater)
sourceContract('feed', () => new Fed().listen(), replays, comesLater, frees)
sourceContract('sse', () => new Streamed().listen(), replays, comesLater, frees, holdsBack, isRefused)
sourceContract('http', () => new Posted(), comesLater, frees)
