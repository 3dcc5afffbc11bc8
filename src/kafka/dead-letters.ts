import { concat, defer, EMPTY, ignoreElements, type Observable } from 'rxjs'
import { type DeadLetter, type DeadLetterSink, WeirError } from '../model/index.js'
import type { ClientError } from './client.js'
import type { KafkaConnection } from './connection.js'
import { type Draft, draftOf, messageFor, nextDraft } from './letters.js'
import { KafkaWriter } from './writer.js'

export { messageFor } from './letters.js'

const deliveryTimeoutMs = 30_000

/**
 * Dead letters in a topic: the bytes that the source read, and why, in the headers that Kafka Connect made usual. They are
 * always written: of what the topic refuses, less is tried, until it takes it.
 */
export class KafkaDeadLetters implements DeadLetterSink {
  readonly address: string
  private readonly writer: KafkaWriter<Draft>
  private readonly doing: string
  /** What has to be written in another way, because it was refused. */
  private refused: Draft[] = []

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
  ) {
    this.address = `kafka topic ${topic}`
    this.doing = `writing dead letters to topic '${topic}'`
    this.writer = new KafkaWriter(connection, {
      deliveryTimeoutMs,
      compression: 'none',
      lingerMs: 0,
      doing: this.doing,
      place: {},
      keeps: true,
      refused: (draft, error) => this.retry(draft, error),
    })
  }

  open(): Observable<never> {
    const { topic, doing } = this
    const request = {
      topic,
      partitions: 1,
      create: true,
      doing,
      unreachable: 'WEIR_SINK_UNREACHABLE',
      place: {},
    } as const
    return concat(this.connection.topics.ensure$(request).pipe(ignoreElements()), this.writer.ready$)
  }

  write(letter: DeadLetter): void {
    this.send(draftOf(letter))
  }

  flush(): Observable<never> {
    return concat(
      this.writer.flush$,
      defer(() => this.sendRefused()),
    )
  }

  discard(): void {
    this.refused = []
    this.writer.forget()
  }

  close(): Observable<never> {
    return this.writer.close()
  }

  private sendRefused(): Observable<never> {
    if (this.refused.length === 0) return EMPTY
    for (const draft of this.refused.splice(0)) this.send(draft)
    return this.flush()
  }

  private send(draft: Draft): void {
    this.writer.write(messageFor(draft.letter, this.topic, this.connection.context.app, draft), draft)
  }

  private retry(draft: Draft, error: WeirError): void {
    const next = nextDraft(draft, error.cause as ClientError)
    // There is no place beyond the last one; but it is the topic then, and not the record.
    if (next === undefined) throw new WeirError('WEIR_SINK_FAILED', error.message, { cause: error.cause })
    this.refused.push(next)
  }
}
