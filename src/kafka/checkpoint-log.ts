import { type TopicPartition, WeirError } from '../model/index.js'
import { decodeEntry, type Entry, encodeEntry, type NewEntry } from '../state/checkpoint-protocol/index.js'
import type { Message } from './client.js'
import type { OutgoingMessage } from './producer.js'
import { usualMessageBytes } from './topic-settings.js'

/**
 * Settings of the logs' topics: nothing goes but what is truncated, in steps small enough that it soon frees space, and
 * chunks fit.
 */
export const logConfig = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'segment.bytes': String(16 * 1024 * 1024),
  'max.message.bytes': usualMessageBytes,
}

export function logTopic(task: string, topic: string): string {
  return `${task}.${topic}.checkpoints`.replaceAll(
    /[^a-zA-Z0-9._-]/g,
    (char) => `_${char.codePointAt(0)?.toString(16)}`,
  )
}

/** The names of an app's logs, among those of other topics. */
export function isLogTopic(app: string, topic: string): boolean {
  const suffix = logTopic('', '').slice(1)
  return topic.startsWith(logTopic(app, '').slice(0, -suffix.length)) && topic.endsWith(suffix)
}

export function logPartition(task: string, { topic, partition }: TopicPartition): TopicPartition {
  return { topic: logTopic(task, topic), partition }
}

/** An entry as it goes to the log of its partition. */
export function outgoing(task: string, { source, entry, bytes }: NewEntry): OutgoingMessage {
  const value = bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { ...logPartition(task, source), key: encodeEntry(entry), value, timestamp: Date.now(), headers: [] }
}

/** An entry as it was read. Errors: WEIR_CHECKPOINT_CORRUPT. */
export function entryOf({ topic, partition, offset, key }: Message): Entry {
  try {
    return decodeEntry(String(key))
  } catch (cause) {
    throw new WeirError('WEIR_CHECKPOINT_CORRUPT', `reading checkpoints: ${topic}-${partition}@${offset} is no entry`, {
      hint: 'Another version, or something else, writes to this topic.',
      cause,
    })
  }
}
