import { setTimeout as sleep } from 'node:timers/promises'
import { catchError, concat, defer, ignoreElements, Observable, throwError } from 'rxjs'
import {
  messageOf,
  type TableChannel,
  type TableMessage,
  type TableMessages,
  type TableRequest,
} from '../model/index.js'
import type { KafkaConnection } from './connection.js'
import { LogReader } from './log-reader.js'
import { usualMessageBytes } from './topic-settings.js'
import { KafkaWriter } from './writer.js'

const deliveryTimeoutMs = 30_000
/** How long to wait before looking again, ms: when nothing came, and when reading failed. */
const restMs = { idle: 50, failed: 1_000 } as const

/** A compacted topic of one partition. */
export class KafkaTable implements TableChannel {
  private readonly writer: KafkaWriter<TableMessage>
  /** Whether the topic was there when it was last written to. */
  private isThere = false

  constructor(
    private readonly connection: KafkaConnection,
    private readonly request: TableRequest,
  ) {
    const { place, topic } = request
    this.writer = new KafkaWriter(connection, {
      deliveryTimeoutMs,
      compression: 'lz4',
      lingerMs: 0,
      gapless: true,
      doing: `writing internal topic '${topic}'`,
      place,
      refused: (_message, error) => {
        throw error
      },
    })
  }

  open(): Observable<never> {
    const made$ = defer(async () => {
      if (!this.isThere) await this.ensure()
      this.isThere = true
    })
    return concat(made$.pipe(ignoreElements()), this.writer.ready$)
  }

  write(message: TableMessage): void {
    const { topic } = this.request
    this.writer.write({ topic, partition: 0, ...message, timestamp: Date.now(), headers: [] }, message)
  }

  flush(): Observable<never> {
    return this.writer.flush$.pipe(
      catchError((error: unknown) => {
        this.isThere = false
        return throwError(() => error)
      }),
    )
  }

  close(): Observable<never> {
    return this.writer.close()
  }

  readonly messages$ = new Observable<TableMessages>((subscriber) => {
    void this.follow(
      (messages) => subscriber.next(messages),
      () => subscriber.closed,
    )
  })

  /** Reads until `isOver`; what fails is logged, and reading begins anew. */
  private async follow(tell: (messages: TableMessages) => void, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const reader = await this.opened()
      try {
        await reader?.connect()
        reader?.assign([{ topic: this.request.topic, partition: 0, offset: 0 }])
        while (reader !== undefined && !isOver()) await this.step(reader, tell)
      } catch (error) {
        this.request.log.warn(`reading internal topic '${this.request.topic}': ${messageOf(error)}; beginning anew`)
      }
      if (reader !== undefined) this.connection.closes(reader.close())
      if (!isOver()) await sleep(restMs.failed)
    }
  }

  private async step(reader: LogReader, tell: (messages: TableMessages) => void): Promise<void> {
    const { topic } = this.request
    const messages = await reader.poll()
    const atEnd = reader.hasEnded({ topic, partition: 0 })
    tell({ messages: messages.map(({ key, value }) => ({ key: String(key), value })), atEnd })
    if (messages.length === 0) await sleep(restMs.idle)
  }

  /** Undefined when the topic can not be reached yet. */
  private async opened(): Promise<LogReader | undefined> {
    try {
      await this.ensure()
      return new LogReader(await this.connection.settings())
    } catch (error) {
      this.request.log.warn(`${messageOf(error)}; trying again`)
      return undefined
    }
  }

  private ensure(): Promise<number> {
    const { topic, place } = this.request
    return this.connection.topics.ensure({
      topic,
      partitions: 1,
      create: true,
      doing: `making internal topic '${topic}'`,
      unreachable: 'WEIR_SINK_UNREACHABLE',
      place,
      config: { 'cleanup.policy': 'compact', 'max.message.bytes': usualMessageBytes },
    })
  }
}
