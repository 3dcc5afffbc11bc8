import { concat, ignoreElements, type Observable } from 'rxjs'
import { type DeadLetter, type DeadLetterSink, type Header, messageOf, noHeaders } from '../model/index.js'
import { bytesOf } from './bytes.js'
import type { KafkaConnection } from './connection.js'
import type { OutgoingMessage } from './producer.js'
import { KafkaWriter } from './writer.js'

const deliveryTimeoutMs = 30_000

/** Dead letters in a topic: the bytes that the source read, and why, in the headers that Kafka Connect made usual. */
export class KafkaDeadLetters implements DeadLetterSink {
  readonly address: string
  private readonly writer: KafkaWriter<unknown>
  private readonly doing: string

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
      // There is no place beyond the last one.
      refused: (_, error) => {
        throw error
      },
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
    this.writer.write(messageFor(letter, this.topic, this.connection.context.app), undefined)
  }

  flush(): Observable<never> {
    return concat(this.writer.flush$, this.writer.ready$)
  }

  close(): Observable<never> {
    return this.writer.close()
  }
}

/** Key, value, timestamp and headers as they were read; where nothing was read, the record as the stage had it. */
export function messageFor(letter: DeadLetter, topic: string, app: string): OutgoingMessage {
  const { record } = letter
  const { origin } = record
  return {
    topic,
    key: origin.key === undefined ? record.key : origin.key,
    value: bytesOf(origin.value === undefined ? record.value : origin.value),
    timestamp: origin.timestamp ?? record.timestamp,
    headers: [...(origin.headers ?? noHeaders).map(withoutEmptyBuffers), ...headersFor(letter, app)],
  }
}

function headersFor({ record, error, flow, stage, attempts }: DeadLetter, app: string): Header[] {
  const { topic, partition, offset } = record.origin
  const cause = error.cause instanceof Error ? error.cause : error
  const connector = `${app}.${flow}`
  return [
    { '__connect.errors.topic': topic },
    { '__connect.errors.partition': String(partition) },
    { '__connect.errors.offset': String(offset) },
    { '__connect.errors.connector.name': connector },
    { '__connect.errors.task.id': '0' },
    { '__connect.errors.stage': stage },
    { '__connect.errors.class.name': stage },
    { '__connect.errors.exception.class.name': cause.name },
    { '__connect.errors.exception.message': error.message },
    { '__connect.errors.exception.stacktrace': cause.stack ?? messageOf(cause) },
    { 'weir.flow': flow },
    { 'weir.stage': stage },
    { 'weir.attempts': String(attempts) },
    { 'weir.error.code': error.code },
  ]
}

/** The client writes an empty buffer as null, but an empty text as what it is. */
function withoutEmptyBuffers(header: Header): Header {
  const [entry] = Object.entries(header)
  return entry?.[1].length === 0 ? { [entry[0]]: '' } : header
}
