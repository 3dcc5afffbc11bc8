import { defer, from, ignoreElements, type Observable } from 'rxjs'
import { EventWriter } from '../../codecs/cloudevents/index.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { type AuditEvent, type AuditLog, correlationHeader, type WeirError } from '../../model/index.js'
import { RecordWriter } from '../record-writer.js'

const writer = new EventWriter({ mode: 'structured', data: 'parsed', depth: 100 })

/** Audit events as CloudEvents in a topic, keyed by their correlation id. One that is written again is there twice. */
export class KafkaAuditLog implements AuditLog {
  readonly address: string
  private records: RecordWriter | undefined

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
  ) {
    this.address = `topic ${topic} of ${connection.address}`
  }

  open(): Observable<never> {
    return defer(() => from(this.opened())).pipe(ignoreElements())
  }

  write(events: readonly AuditEvent[]): Observable<never> {
    return defer(() => from(this.wrote(events))).pipe(ignoreElements())
  }

  close(): Observable<never> {
    return defer(() => from(this.closed())).pipe(ignoreElements())
  }

  private async opened(): Promise<void> {
    const onRefused = (_: string, error: WeirError) => {
      throw error
    }
    const records = new RecordWriter(this.connection, this.topic, onRefused)
    await records.ensureTopic(1, { 'retention.ms': '-1' })
    await records.open()
    this.records = records
  }

  private async wrote(events: readonly AuditEvent[]): Promise<void> {
    const { records } = this
    if (records === undefined) throw new Error(`writing the audit to ${this.address}: it has to be open first`)
    for (const event of events) {
      const { correlationId: key, time } = event
      const { value, headers } = writer.write(cloudEventOf(event))
      const message = { key, value, headers: [...headers, { [correlationHeader]: key }], timestamp: time }
      await records.add(message, 'the event')
    }
    await records.flush()
  }

  private async closed(): Promise<void> {
    await this.records?.close()
    this.records = undefined
  }
}

function cloudEventOf({ id, time, source, action, subject, correlationId, actor, phase, outcome, data }: AuditEvent) {
  return {
    specversion: '1.0',
    id,
    source,
    type: `weir.audit.${action}`,
    subject,
    time: new Date(time).toISOString(),
    datacontenttype: 'application/json',
    extensions: { correlationid: correlationId },
    data: { actor, phase, outcome, ...data },
  }
}
