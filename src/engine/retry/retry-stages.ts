import { map as rxMap } from 'rxjs'
import { z } from 'zod'
import {
  defineOperator,
  defineSource,
  operate,
  type SourceTask,
  type StoreCodec,
  type StorePartition,
  StreamRecord,
  WeirError,
} from '../../model/index.js'
import type { RetryContext, RetryJoint, Tier } from './joint.js'
import { factsOf, ownHeaders, type RetryFacts } from './message.js'
import { Retries } from './retries.js'
import { WaitingSource } from './waiting-source.js'

const jointOptions = z.custom<RetryJoint>()

const sequenceCodec: StoreCodec<number> = { version: 1, save: (value) => value, load: (saved) => saved as number }

/**
 * Before all other stages: keeps what is on its way to the retry topics, which is committed with the epoch that it failed in,
 * and written with the next. So what has failed is decided once, and what is written again after a crash is the same: known
 * by its number, it is dropped by whoever reads the topic.
 */
export const retryStage = defineOperator({
  name: 'retry',
  summary: 'Keeps what failed and is tried again, until it is in a retry topic.',
  options: jointOptions,
  stores: ({ store, isBehind }) => (isBehind ? [store, sourcesOf(store)] : [store]),
  build(joint, given) {
    const context = given as RetryContext
    context.rejections.retries = new Retries(joint, context)
    if (!joint.isBehind) return rxMap((record) => record)
    const sources = context.store(sourcesOf(joint.store), sequenceCodec)
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(message) {
        const { topic, partition, offset, key, value } = message.origin
        const facts = factsOf(message.headers)
        if (facts === undefined) return context.reject(message, foreignError())
        if (isRepeat(sources.of(topic, partition), facts)) return
        const { attempts, timestamp } = facts
        const place = { topic: facts.topic, partition: facts.partition, offset: facts.offset }
        const headers = ownHeaders(message.headers)
        const retried = { topic, partition, offset, attempts }
        const origin = { ...place, key, value, timestamp, headers, retried }
        output.next(new StreamRecord(message.key, message.value, timestamp ?? message.timestamp, headers, origin))
      },
    }))
  },
})

/** Remembers what has come. */
function isRepeat(part: StorePartition<number>, { from, sequence = 0 }: RetryFacts): boolean {
  if (from === undefined) return false
  const entry = part.get(0, from) ?? part.add(0, from, 0)
  if (sequence <= entry.value) return true
  entry.value = sequence
  part.touch(entry)
  return false
}

/** What is known of those who write a retry topic goes with what they keep. */
function sourcesOf(store: string): string {
  return `${store}.sources`
}

/** Reads one retry topic. */
export const retrySource = defineSource({
  name: 'retry.source',
  summary: 'Takes records from a retry topic, each when its time has come.',
  options: z.custom<RetryJoint & Tier & { readonly group: string }>(),
  replayable: true,
  detail: ({ topic }) => topic,
  build(joint, { flow, stage, log, instance, connection, clock }) {
    const request = { ...joint, instance, place: { flow, stage }, log }
    const source: SourceTask = joint.channel.source(connection(joint.connectionKind), request)
    if (source.hold === undefined || source.goOn === undefined)
      throw new WeirError('WEIR_CONFIG_INVALID', `reading retry topic '${joint.topic}': its channel can't wait`)
    return new WaitingSource(source as ConstructorParameters<typeof WaitingSource>[0], clock)
  },
})

function foreignError(): WeirError {
  return new WeirError('WEIR_RECORD_MALFORMED', 'reading a retry topic: the record does not say where it comes from', {
    hint: "Nobody but the flow writes to its retry topics; a dead letter goes there by 'weir dlq replay --through'.",
  })
}
