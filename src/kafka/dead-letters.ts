import { concat, defer, EMPTY, ignoreElements, type Observable } from 'rxjs'
import type { DeadLetter, DeadLetterSink } from '../model/index.js'
import { Draft, Letters, type Refusal } from '../state/letter-protocol/index.js'
import { type ClientError, codes } from './client.js'
import type { KafkaConnection } from './connection.js'
import { isTooLarge } from './faults.js'
import type { OutgoingMessage } from './producer.js'
import { KafkaWriter } from './writer.js'

const deliveryTimeoutMs = 30_000

/**
 * Dead letters in a topic: the bytes that the source read, and why, in the headers that Kafka Connect made usual. They are
 * always written: of what the topic refuses, less is tried, until it takes it.
 */
export class KafkaDeadLetters implements DeadLetterSink {
  readonly address: string
  private readonly writer: KafkaWriter<Draft>
  private readonly doing: string
  private readonly letters = new Letters()

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
      refused: (draft, error) => this.letters.refuse(draft, refusalOf(error.cause as ClientError), error),
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
      // A letter has the time of its record: those of old records would be deleted within minutes.
      config: { 'retention.ms': '-1' },
    } as const
    return concat(this.connection.topics.ensure$(request).pipe(ignoreElements()), this.writer.ready$)
  }

  write(letter: DeadLetter): void {
    this.send(this.letters.write(letter))
  }

  flush(): Observable<never> {
    return concat(
      this.writer.flush$,
      defer(() => this.sendRefused()),
    )
  }

  discard(): void {
    this.letters.forget()
    this.writer.forget()
  }

  close(): Observable<never> {
    return this.writer.close()
  }

  private sendRefused(): Observable<never> {
    const drafts = this.letters.answered()
    for (const draft of drafts) this.send(draft)
    return drafts.length === 0 ? EMPTY : this.flush()
  }

  private send(draft: Draft): void {
    this.writer.write(messageFor(draft.letter, this.topic, this.connection.context.app, draft), draft)
  }
}

/** A dead letter as it is written to a topic: at first, or as a draft of what was refused. */
export function messageFor(letter: DeadLetter, topic: string, app: string, draft = new Draft(letter)): OutgoingMessage {
  return { topic, ...draft.message({ app, now: Date.now() }) }
}

function refusalOf(error: ClientError): Refusal | undefined {
  if (isTooLarge(error)) return 'size'
  if (error.code === codes.invalidTimestamp) return 'timestamp'
  return error.code === codes.invalidRecord ? 'key' : undefined
}
