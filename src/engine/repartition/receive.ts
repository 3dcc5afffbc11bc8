import { z } from 'zod'
import {
  asWeirError,
  CombinedRecord,
  defineOperator,
  type FollowedTime,
  noHeaders,
  type Origin,
  operate,
  PartialResult,
  partitionName,
  recordKeyOf,
  type StoreCodec,
  type StorePartition,
  StreamRecord,
  type ToldBefore,
} from '../../model/index.js'
import {
  type AheadMessage,
  type Message,
  type PartialMessage,
  type PieceMessage,
  type RecordMessage,
  type ToldMessage,
  unpack,
} from './messages.js'

/** What is known of a source partition in one partition of the internal topic. */
interface Source {
  generation: number
  /** The first generation that is known to send of the topic that there is now; Infinity where that has no such partition. */
  since: number
  /** Tells its topic from others of that name, where that is known, and those that it has taken the place of. */
  id?: string | undefined
  were: readonly string[]
  /** How many offsets went by in topics that had its topic's name before. */
  before: number
  position: number
  watermark: number
  idle: boolean
  /** Whether it says that it never brought anything: what it brought before was of a topic that is gone, and never committed. */
  isEmpty?: boolean
  /** By how much it has moved on while it was idle, ms. */
  movedOnMs: number
  /** How often its time had been set back when that was told. */
  timeSets: number
  total: number
  /** How many partitions its topic has; told by the first of them. */
  partitions?: number | undefined
  /** What its task reads, where it has sent on what is left of all other topics. */
  reads?: readonly string[] | undefined
  /** All before this position was sent by the time that it was told to be idle. */
  sentTo: number
  /** The highest position told, by whoever: the watermark is that of all before it. */
  reached: number
  /** The highest offset of the records in partial results, or ahead of them, and of the latter alone. */
  combined: number
  ahead: number
  /** The last record under a new key. */
  offset: number
  index: number
  /** The pieces of a large message that have come. */
  pieces: Uint8Array[]
  /** The generation that sent them. */
  piecesBy: number
}

const never = Number.NEGATIVE_INFINITY
/** Of so many topics of one name it is remembered that they were there. */
const mostIds = 8

const codec: StoreCodec<Source> = {
  version: 1,
  save: ({ watermark, ...source }) => ({ ...source, watermark: Number.isFinite(watermark) ? watermark : null }),
  load(saved) {
    const source = saved as Source & { watermark: number | null }
    const { reached = source.position, watermark } = source
    return { ...unknown(), ...source, reached, watermark: watermark ?? never }
  },
}

const options = z.strictObject({
  store: z.string(),
  idleForMs: z.number(),
  /** The topics that each input of the other task reads. */
  inputs: z.array(z.array(z.string())),
})

/**
 * Reads what another task sent: follows how far each source partition has come, puts pieces together, and drops
 * records that have come already. So a replay of the other task counts once without a transaction between the two.
 */
export const receive = defineOperator({
  name: 'receive',
  summary: 'Reads what another task of the flow sent.',
  onError: 'dead-letter',
  options,
  stores: ({ store }) => [store],
  build: ({ store: name, idleForMs, inputs }, context) => {
    const store = context.store(name, codec)
    const { time, clock } = context
    const passed = () => clock.scheduler.now()
    // When it was last heard of a source, ms that have passed: nothing to be stored, for another life has another clock.
    const heardAt = new WeakMap<Source, number>()
    const inputOf = new Map(inputs.flatMap((topics, input) => topics.map((topic) => [topic, input] as const)))
    time.follow(({ topic, partition }) => {
      const idleSince = passed() - idleForMs
      const isLongAgo = (source: Source) => (heardAt.get(source) ?? never) < idleSince
      return toldOf(awaitedOf(store.of(topic, partition), inputOf, inputs.length, isLongAgo), isLongAgo)
    })
    return operate<StreamRecord, StreamRecord>((output) => ({
      next(message) {
        const { topic, partition } = message.origin
        let read: Message
        try {
          read = unpack(message.value as Uint8Array)
        } catch (error) {
          return context.reject(message, asWeirError(error, 'WEIR_RECORD_MALFORMED'))
        }
        // Before that it may be an old message, from somebody who is gone: its own time is that of another clock.
        const at = time.isRead(topic, partition) ? passed() : never
        const record = received(store.of(topic, partition), read, message, (source) => heardAt.set(source, at))
        if (record !== undefined) output.next(record)
      },
    }))
  },
})

function received(
  part: StorePartition<Source>,
  read: Message,
  message: StreamRecord,
  noted: (source: Source) => void,
): StreamRecord | undefined {
  const name = partitionName(read)
  const entry = part.get(0, name) ?? part.add(0, name, unknown())
  const source = entry.value
  // Who still reads a topic that is gone sends what is not committed, or has come already.
  if (read.kind !== 'told' && read.generation < source.since) return undefined
  if (read.kind === 'piece') {
    const whole = put(source, read)
    part.touch(entry)
    return whole === undefined ? undefined : received(part, unpack(whole), message, noted)
  }
  if (read.kind === 'partial') {
    source.combined = Math.max(source.combined, read.last)
    part.touch(entry)
    return partialRecord(read, source, message)
  }
  if (read.kind === 'ahead') {
    source.ahead = Math.max(source.ahead, read.offset)
    source.combined = Math.max(source.combined, read.offset)
    part.touch(entry)
    return aheadRecord(read, source, message)
  }
  const isNew = read.kind === 'told' ? heard(source, read) : isBeyond(source, read)
  if (!isNew) return undefined
  part.touch(entry)
  if (read.kind !== 'told') return rekeyed(source, read, message)
  forgetGone(part, source, read)
  forgetReads(part, read)
  noted(source)
  return undefined
}

function unknown(): Source {
  // Not yet told of: `total` keeps everything waiting.
  return {
    generation: -1,
    since: 0,
    were: [],
    before: 0,
    position: -1,
    watermark: never,
    idle: false,
    movedOnMs: 0,
    timeSets: 0,
    total: Infinity,
    partitions: undefined,
    reads: undefined,
    sentTo: 0,
    reached: 0,
    combined: -1,
    ahead: -1,
    offset: -1,
    index: 0,
    pieces: [],
    piecesBy: -1,
  }
}

/**
 * A topic that took the place of another may have fewer partitions: of the others all is sent by now, and nobody tells of them
 * any more. Others may know already of more of them, or of yet another topic.
 */
function forgetGone(part: StorePartition<Source>, { were }: Source, told: ToldMessage): void {
  const { topic, id, partitions = Infinity } = told
  if (id === undefined || partitions === Infinity) return
  for (const [key, entry] of part.segment(0) ?? []) {
    const name = String(key)
    const isOver = topicOf(name) === topic && Number(name.slice(topic.length + 1)) >= partitions
    const { id: its } = entry.value
    const isOld = its === undefined || (were.length === 0 ? its !== id : were.includes(its))
    if (!isOver || !isOld || isGone(entry.value)) continue
    entry.value.since = Infinity
    part.touch(entry)
  }
}

/** Who reads a topic takes back what was told before, that nobody reads it and all of it is sent. */
function forgetReads(part: StorePartition<Source>, { topic, total }: ToldMessage): void {
  if (total === 0) return
  for (const [, entry] of part.segment(0) ?? []) {
    if (entry.value.reads === undefined || entry.value.reads.includes(topic)) continue
    entry.value.reads = undefined
    part.touch(entry)
  }
}

function isGone({ since }: Source): boolean {
  return since === Infinity
}

/**
 * Whether the first partition of its topic says that there is no such partition, in a topic that is not known to be an earlier
 * one. Which of two is the later is not known where no partition was read in both: the one of which more is heard.
 */
function isBeyondTopic(
  part: StorePartition<Source>,
  name: string,
  source: Source,
  isLongAgo: (source: Source) => boolean,
): boolean {
  const topic = topicOf(name)
  const first = part.get(0, `${topic}-0`)?.value
  if (first?.partitions === undefined || first.id === undefined || first.id === source.id) return false
  const isBeyond = Number(name.slice(topic.length + 1)) >= first.partitions && !source.were.includes(first.id)
  return isBeyond && isLongAgo(source) && !isLongAgo(first)
}

/** Whether it is told of another topic of that name. Of one that nobody had committed anything of, the id alone tells. */
function isOfAnother(source: Source, { before, id, generation }: ToldMessage): boolean {
  if (before > source.before) return true
  if (id === undefined || generation <= source.generation) return false
  return isGone(source) || (source.id !== undefined && id !== source.id)
}

/** Takes in how far a source partition has come. Returns false when something later was told before. */
function heard(source: Source, told: ToldMessage): boolean {
  const { generation, position, watermark, idle, movedOnMs, total, reads, before, id, timeSets = 0 } = told
  if (before < source.before) return false
  // Its offsets begin again, and what comes of them is no repeat.
  if (isOfAnother(source, told)) {
    const { watermark: reached, timeSets: sets } = source
    const were = [...source.were, ...(source.id === undefined ? [] : [source.id])].slice(-mostIds)
    Object.assign(source, { ...unknown(), since: generation, were, before, watermark: reached, timeSets: sets })
  }
  if (isGone(source)) return false
  if (generation < source.generation || (generation === source.generation && position < source.position)) return false
  if (timeSets < source.timeSets) return false
  // What was promised once stays true, for which records lie before a position does not change: until time is set back.
  source.watermark = timeSets > source.timeSets ? watermark : Math.max(source.watermark, watermark)
  source.timeSets = timeSets
  source.reached = Math.max(source.reached, position)
  if (idle || movedOnMs > 0) source.sentTo = Math.max(source.sentTo, position)
  source.generation = generation
  source.id = id ?? source.id
  source.partitions = told.partitions ?? source.partitions
  source.position = position
  source.idle = idle
  source.isEmpty = !Number.isFinite(watermark)
  source.movedOnMs = movedOnMs
  source.total = total
  source.reads = reads
  return true
}

/** Adds a piece; returns the whole once it is complete. An older task that still sends must not come in between. */
function put(source: Source, { generation, index, count, payload }: PieceMessage): Uint8Array | undefined {
  if (generation < source.piecesBy) return undefined
  if (index === 0) source.pieces = []
  source.piecesBy = generation
  if (index !== source.pieces.length) return undefined
  source.pieces.push(payload)
  if (source.pieces.length < count) return undefined
  const { pieces } = source
  source.pieces = []
  return Buffer.concat(pieces)
}

function partialRecord(read: PartialMessage, source: Source, message: StreamRecord): StreamRecord {
  const { topic, partition, generation, last, segment, key, version, saved } = read
  const from = { topic, partition }
  const result = new PartialResult(from, generation, last, segment, key, saved, version, toldBefore(source))
  return new StreamRecord(recordKeyOf(key), result, segment, noHeaders, message.origin)
}

function aheadRecord(read: AheadMessage, source: Source, { origin }: StreamRecord): StreamRecord {
  const { segment, key, headers } = read
  const from = originOf(read)
  const record = new StreamRecord(from.key ?? null, from.value, from.timestamp ?? segment, headers, from)
  const combined = new CombinedRecord(record, segment, key, toldBefore(source))
  return new StreamRecord(recordKeyOf(key), combined, segment, noHeaders, origin)
}

function toldBefore({ reached, watermark, sentTo, ahead }: Source): ToldBefore {
  return { position: reached, watermark, sentTo, ahead }
}

/** The record as its source read it. */
function originOf({ topic, partition, offset, asRead }: AheadMessage | RecordMessage): Origin {
  return { topic, partition, offset, ...asRead }
}

function isBeyond({ offset, index }: Source, read: RecordMessage): boolean {
  return read.offset > offset || (read.offset === offset && read.index > index)
}

function rekeyed(source: Source, read: RecordMessage, { origin }: StreamRecord): StreamRecord {
  source.offset = read.offset
  source.index = read.index
  const { topic, partition, offset } = origin
  // State is where the message is; a dead letter is the record itself.
  const at = { topic, partition, offset, from: originOf(read) }
  return new StreamRecord(read.key, read.value, read.timestamp, read.headers, at, read.behindMs)
}

/**
 * What is known of the source partitions; undefined before each of every input was told of, and before it was told that
 * nothing is read but these inputs, and what is left of others was sent on: what comes may still be of a task that reads more.
 */
function awaitedOf(
  part: StorePartition<Source>,
  inputOf: ReadonlyMap<string, number>,
  inputs: number,
  isLongAgo: (source: Source) => boolean,
): readonly Source[] | undefined {
  const sources: Source[] = []
  const held = new Array<number>(inputs).fill(0)
  const totals = new Array<number>(inputs).fill(0)
  let isAll = false
  for (const [name, { value: source }] of part.segment(0) ?? []) {
    const input = inputOf.get(topicOf(String(name)))
    if (input === undefined || isGone(source) || isBeyondTopic(part, String(name), source, isLongAgo)) continue
    sources.push(source)
    held[input]!++
    totals[input] = Math.max(totals[input]!, source.total)
    isAll ||= source.reads?.every((topic) => inputOf.has(topic)) === true
  }
  return isAll && held.every((count, input) => count > 0 && count >= totals[input]!) ? sources : undefined
}

/** The topic in a `partitionName`. */
function topicOf(name: string): string {
  return name.slice(0, name.lastIndexOf('-'))
}

/**
 * The minimum over all source partitions that are awaited, and where none is, over all that ever brought anything, each
 * where it has moved on to; nothing is known before each of them was told of. That one is idle holds only where that was
 * heard of late, for whoever watched it may be gone, and nobody see what comes; and only while nothing has come that lies
 * behind it: what is in a window when it closes was sent before its source was told to be idle.
 */
function toldOf(sources: readonly Source[] | undefined, isLongAgo: (source: Source) => boolean): FollowedTime {
  if (sources === undefined) return { watermark: never, idle: false, timeSets: 0 }
  const timeSets = Math.min(...sources.map((source) => source.timeSets))
  const awaited = sources.filter((source) => !source.idle || isLongAgo(source) || isAwake(source))
  const moving = sources.filter(({ watermark, isEmpty }) => watermark !== never && isEmpty !== true)
  // Whose process begins anew may still be idle, and then it is not what the others go by.
  const mayRest = awaited.every((source) => (source.idle || source.movedOnMs > 0) && !isAwake(source))
  if (awaited.length > 0)
    return { watermark: lowestOf(mayRest ? [...awaited, ...moving] : awaited), idle: false, timeSets }
  return { watermark: moving.length > 0 ? lowestOf(moving) : never, idle: true, timeSets }
}

/** Whether something has come that lies behind what was told. */
function isAwake({ position, combined }: Source): boolean {
  return combined >= position
}

function lowestOf(sources: readonly Source[]): number {
  return sources.reduce((lowest, source) => Math.min(lowest, standingOf(source)), Infinity)
}

function standingOf(source: Source): number {
  return isAwake(source) ? source.watermark : source.watermark + source.movedOnMs
}
