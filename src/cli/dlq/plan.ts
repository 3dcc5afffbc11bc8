import { replaysHeader } from '../../codecs/dead-letter.js'
import { retryMessage } from '../../engine/index.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { checkedHeaders } from '../../kafka/headers.js'
import { checked } from '../../kafka/outgoing.js'
import type { OutgoingMessage } from '../../kafka/producer.js'
import {
  bytesOf,
  correlationHeader,
  type Header,
  headerOf,
  messageOf,
  type ReplayedRecord,
  WeirError,
} from '../../model/index.js'
import { type Letter, originText } from './letters.js'
import type { Outgoing, Transform } from './transform.js'

/** What becomes of one letter: it is written, or stays where it is, and why. */
type Plan =
  | { readonly is: 'written'; readonly message: OutgoingMessage }
  | { readonly is: 'left'; readonly why: string }

/** A way to one flow alone. */
export interface Through {
  readonly flow: string
  readonly topic: string
}

export interface PlanOptions {
  /** In place of the topic that a record was read from. */
  readonly to?: string
  /** The retry topic of a flow that reads the records alone. */
  readonly through?: Through | undefined
  /** Letters that were replayed or dropped as well. */
  readonly again?: boolean
  readonly maxAttempts: number
  readonly transform?: Transform | undefined
}

/** Says what becomes of letters. */
export class Planner {
  private readonly written = new Set<string>()
  private readonly partitions = new Map<string, Promise<number>>()

  constructor(
    private readonly connection: KafkaConnection,
    private readonly options: PlanOptions,
  ) {}

  /** Errors: WEIR_STAGE_FAILED when the transform fails, WEIR_RECORD_INVALID when what it returns is no record. */
  async of(letter: Letter): Promise<Plan> {
    const { transform } = this.options
    const why = this.objection(letter)
    if (why !== undefined) return left(why)
    const record = this.recordOf(letter)
    if (record === undefined) return left('its record was read nowhere: name a topic with --to')
    if (transform === undefined) return this.planned(record, letter)
    const changed = await transform(record, letter)
    if (changed === undefined) return left('left out by the transform')
    return this.planned(checkedRecord(changed, record, letter), letter)
  }

  private objection({ mark, facts, record, isTwin }: Letter): string | undefined {
    const { again = false, maxAttempts, transform } = this.options
    if (mark !== undefined && !again) return `${mark.state} before (--again takes it all the same)`
    if (!again && (isTwin || (record !== undefined && this.written.has(record))))
      return 'another letter of the same record was replayed (--again takes it all the same)'
    if (facts.replays >= maxAttempts)
      return `replayed ${facts.replays} times, and failed again (--max-attempts ${facts.replays + 1} takes it)`
    if (facts.cut.some((what) => what !== 'timestamp') && transform === undefined)
      return `cut (${facts.cut.join(', ')}): what is left is not the record; a --transform may mend it`
    return undefined
  }

  /** The record as it was read. What was made of many records lies in no topic, and belongs in none but that of a sink. */
  private recordOf(letter: Letter): Outgoing | undefined {
    const { key, value, timestamp, facts } = letter
    const { to, through } = this.options
    const { origin } = facts
    const isRead = origin !== undefined && (origin.offset ?? 0) >= 0
    const topic = to ?? (isRead ? (through?.topic ?? origin.topic) : undefined)
    if (topic === undefined) return undefined
    const partition = topic === origin?.topic ? origin.partition : undefined
    return { topic, partition, key, value, timestamp, headers: headersOf(letter) }
  }

  private async planned(record: Outgoing, letter: Letter): Promise<Plan> {
    const { topic, partition, ...rest } = this.onItsWay(record, letter)
    if (topic === letter.topic && topic !== letter.facts.origin?.topic)
      return left(`it would go to its own topic, '${topic}'`)
    const count = await this.countOf(topic)
    if (count === 0) return left(`there is no topic '${topic}'`)
    if (letter.record !== undefined) this.written.add(letter.record)
    const isThere = partition !== undefined && partition < count
    return { is: 'written', message: { topic, ...(isThere ? { partition } : {}), ...rest } }
  }

  /** To a flow it is the record that it was, and is to be tried at once. */
  private onItsWay(record: Outgoing, { facts, topic, partition, offset }: Letter): Outgoing {
    if (this.options.through?.topic !== record.topic) return record
    const { key, value, headers, timestamp } = record
    const { origin, stage = '', code = '', message = '' } = facts
    const isKnown = origin?.partition !== undefined && origin.offset !== undefined
    const at = isKnown ? { topic: origin.topic, partition: origin.partition, offset: origin.offset } : undefined
    const place = at ?? { topic, partition, offset }
    const why = { stage, code, error: message }
    const retry = { due: Date.now(), wait: 0, ...place, timestamp, attempts: 0, ...why }
    return { ...record, ...retryMessage({ key, value, headers }, retry) }
  }

  private countOf(topic: string): Promise<number> {
    const known = this.partitions.get(topic)
    if (known !== undefined) return known
    const asked = this.connection.topics.describe([topic]).then((seen) => seen.get(topic)?.partitions ?? 0)
    this.partitions.set(topic, asked)
    return asked
  }
}

/** Those of the record, how often it was replayed, and what its traces are found by, which was its place. */
function headersOf({ facts }: Letter): readonly Header[] {
  const { headers, replays } = facts
  const own = headers.filter((header) => !(replaysHeader in header))
  const place = originText(facts)
  const isTraced = place === undefined || headerOf(own, correlationHeader) !== undefined
  return [...own, ...(isTraced ? [] : [{ [correlationHeader]: place }]), { [replaysHeader]: String(replays + 1) }]
}

/** A key that was changed may belong into another partition. */
function checkedRecord(changed: ReplayedRecord, before: Outgoing, { at }: Letter): Outgoing {
  try {
    const { topic, key, timestamp, headers } = changed
    const isMoved = changed.partition === before.partition && (topic !== before.topic || !isSameKey(key, before.key))
    const partition = isMoved ? undefined : changed.partition
    const value = bytesOf(changed.value)
    checked({ topic, key, value, timestamp, headers: checkedHeaders(headers) })
    return { topic, partition, key, value, timestamp, headers }
  } catch (error) {
    const what = `writing what the transform made of letter ${at}: ${messageOf(error)}`
    throw new WeirError('WEIR_RECORD_INVALID', what, { cause: error })
  }
}

function isSameKey(one: ReplayedRecord['key'], other: ReplayedRecord['key']): boolean {
  if (one === null || other === null) return one === other
  return Buffer.from(one).equals(Buffer.from(other))
}

function left(why: string): Plan {
  return { is: 'left', why }
}
