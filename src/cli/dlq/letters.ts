import { type LetterFacts, placeOfOrigin, readLetter } from '../../codecs/dead-letter.js'
import type { Message } from '../../kafka/client.js'
import { type LetterMark, LetterMarks } from '../../kafka/letter-marks.js'
import { messagesIn } from '../../kafka/whole-topic.js'
import { type Key, place } from '../../model/index.js'
import type { LetterTopic } from './where.js'

/** A dead letter that lies in its topic. */
export interface Letter {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** `orders.dead-letters-0@17` */
  readonly at: string
  readonly key: Key
  readonly value: Buffer | null
  /** Of the record, ms; -1 where it has none. */
  readonly timestamp: number
  /** All of them, as they lie there. */
  readonly all: Message['headers']
  readonly facts: LetterFacts
  readonly mark: LetterMark | undefined
  /** What its record is known by in every letter of it: an epoch that was tried again has written two. */
  readonly record: string | undefined
  /** Whether another letter of its record was replayed. */
  readonly isTwin: boolean
}

/** The letters of a topic, in the order of their offsets in each partition. Errors: WEIR_SOURCE_UNREACHABLE. */
export async function* lettersIn(
  { connection, extents }: LetterTopic,
  marks: LetterMarks,
): AsyncGenerator<readonly Letter[]> {
  for await (const messages of messagesIn(connection, extents))
    yield messages.map((message) => letterOf(message, marks))
}

/** The same of several topics, as their marks are now. */
export async function* allLetters(topics: readonly LetterTopic[]): AsyncGenerator<readonly Letter[]> {
  for (const topic of topics) {
    const marks = new LetterMarks(topic.connection, topic.topic)
    await marks.read(topic.extents)
    yield* lettersIn(topic, marks)
  }
}

export function letterOf(message: Message, marks: LetterMarks): Letter {
  const { topic, partition, offset, value, headers = [] } = message
  const facts = readLetter(headers)
  const key = message.key ?? null
  const timestamp = facts.origin?.timestamp ?? message.timestamp ?? -1
  const record = recordOf(facts, timestamp)
  const mark = marks.of(message)
  // Where a topic takes no record without a key, a letter has its place in place of one.
  const isMade = facts.cut.includes('key') && key !== null && key.toString() === placeOfOrigin(facts)
  return {
    topic,
    partition,
    offset,
    at: place(message),
    key: isMade ? null : key,
    value,
    timestamp,
    all: headers,
    facts: isMade ? { ...facts, cut: facts.cut.filter((what) => what !== 'key') } : facts,
    mark,
    record,
    isTwin: mark === undefined && record !== undefined && marks.hasReplayed(record),
  }
}

/** Its time tells it from one of a topic that had this name before. */
function recordOf(facts: LetterFacts, timestamp: number): string | undefined {
  const { flow = '', origin, replays } = facts
  const at = placeOfOrigin(facts)
  return at === undefined || (origin?.offset ?? -1) < 0 ? undefined : [flow, at, timestamp, replays].join(' ')
}

/** Where its record was read, as far as the letter tells. */
export function originText({ origin }: LetterFacts): string | undefined {
  if (origin === undefined) return undefined
  const { topic, partition, offset } = origin
  if (partition === undefined) return topic
  return offset === undefined || offset < 0 ? `${topic}-${partition}` : place({ topic, partition, offset })
}
