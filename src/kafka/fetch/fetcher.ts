import { messageOf, PartitionMap, type Position, partitionName, type TopicPartition } from '../../model/index.js'
import { type ClientError, codes } from '../client.js'
import type { Leader } from './brokers.js'
import { FetchedChunk } from './fetched-chunk.js'
import { type FetchedPartition, type FetchRequest, type FetchResponse, fetch } from './protocol/fetch.js'
import { type Malformation, MalformedError } from './protocol/malformed.js'
import { type DecodedRecords, decodeRecords } from './record-batch.js'

/** How long a broker waits for something to come, ms. Who is assigned a partition meanwhile waits as long. */
const waitMs = 100
/** The same where some partitions are left out because enough of them is here, and are to be asked for soon. */
const shortWaitMs = 10
/** How long a broker may take to answer beyond that, ms. One that hangs is left then. */
const answerMs = 15_000
/** Of a partition nothing more is asked for while so much waits to be emitted, bytes; an answer may bring as much again. */
const partBytes = 1_048_576
/** The same of all partitions together. */
const allBytes = 16 * partBytes
/** A batch may be of this size when it is unpacked, bytes. */
const unpackedBytes = 256 * partBytes
/** After a failure a partition rests, at first and at most so long, ms. */
const [firstRestMs, longestRestMs] = [50, 1_000]
/** How long a replica is read in place of the leader, ms. */
const replicaMs = 5 * 60_000

/** What the client can read. */
const clientReads: readonly Malformation[] = ['old-format', 'compression']

/** Brokers' answers for a partition. */
const errors = {
  none: 0,
  outOfRange: 1,
  unknownTopic: 3,
  refused: 29,
}
/** Another broker leads the partition, or will soon, or this one is not there yet. */
const moved: readonly number[] = [5, 6, 9, 13, 56, 72, 74, 75, 76, 78, 100, 103]

export interface FetcherEvents {
  /** There is something to emit. */
  arrived(): void
  /** A broker lets itself be asked again in so many ms only. */
  throttled(ms: number): void
  failed(error: ClientError): void
}

/** Who leads partitions, and how they are asked: `Brokers`. */
export interface Leaders {
  leaderOf(topic: string, partition: number): Leader | undefined
  refresh(topics: readonly string[]): Promise<void>
  connectionTo(node: number): Promise<{
    request(api: typeof fetch, request: FetchRequest, timeoutMs: number): Promise<FetchResponse>
  }>
  close(): void
}

interface FetcherOptions {
  /** Where this process is, so that replicas nearby are read; empty where that is not said. */
  readonly rack: string
  readonly minBytes?: number | undefined
  readonly maxWaitMs?: number | undefined
  readonly maxBytes?: number | undefined
  readonly partitionBytes?: number | undefined
  /** As `DecodeOptions` has it. */
  readonly checksums?: boolean | undefined
}

/** Where a partition is read. A new one stands for it when it is read elsewhere: what was asked for the old one is nobody's. */
class Fetched implements TopicPartition {
  /** What asks for it, or unpacks it: until it is answered nothing else does. */
  asking: object | undefined
  /** Nothing is there to read at its position: whoever reads has to say where to go on. */
  isStray = false
  /** Up to where there was something to read when its leader last answered. */
  end = Number.POSITIVE_INFINITY
  /** The leader epoch of what was read last. */
  epoch = -1
  /** Bytes that wait to be emitted. */
  waiting = 0
  /** What has to be asked for at least, bytes, for a batch is as large. */
  most = 0
  restsUntil = 0
  restMs = 0
  replica: { readonly node: number; readonly until: number } | undefined

  constructor(
    readonly topic: string,
    readonly partition: number,
    public offset: number,
  ) {}
}

const isAsked = ({ asking }: Fetched) => asking !== undefined
const positionOf = ({ topic, partition, offset }: Fetched): Position => ({ topic, partition, offset })

/**
 * Fetches partitions from their leaders: one request to each broker at a time, for all of its partitions of which not
 * enough waits to be emitted. That a request is not sent is all there is of backpressure.
 */
export class Fetcher {
  private readonly parts = new PartitionMap<Fetched>()
  /** The same ones, to go through. */
  private all: readonly Fetched[] = []
  private readonly held = new Set<string>()
  private readonly chunks: { readonly of: Fetched; readonly chunk: FetchedChunk; readonly bytes: number }[] = []
  private waiting = 0
  /** Brokers that have not answered yet. */
  private readonly asked = new Set<number>()
  private turn = 0
  private refreshing = false
  private closed = false
  private timer: NodeJS.Timeout | undefined
  private timerAt = Number.POSITIVE_INFINITY

  constructor(
    private readonly brokers: Leaders,
    private readonly options: FetcherOptions,
    private readonly events: FetcherEvents,
  ) {}

  get head(): FetchedChunk | undefined {
    return this.chunks[0]?.chunk
  }

  /** Whether all was emitted that the leaders had when they last answered. */
  get hasAll(): boolean {
    if (this.chunks.length > 0) return false
    return this.all.every(({ offset, end }) => offset >= end)
  }

  /** Whether all was taken of a partition that its leader had when it last answered. */
  isAtEnd({ topic, partition }: TopicPartition): boolean {
    const part = this.parts.get(topic, partition)
    return part !== undefined && part.offset >= part.end && !this.chunks.some(({ of }) => of === part)
  }

  /** Where it is in partitions in which there is nothing to read at their position. */
  strays(): Position[] {
    return this.all.filter(({ isStray }) => isStray).map(positionOf)
  }

  /** What was fetched counts, whether or not it was taken. */
  positions(): Position[] {
    return this.all.map(positionOf)
  }

  shift(): void {
    const first = this.chunks.shift()
    if (first === undefined) return
    this.forget(first)
    // Where it was too much until now, nobody else asks.
    this.ask()
  }

  /** Reads these too, or elsewhere. */
  set(positions: readonly Position[]): void {
    this.drop(positions)
    for (const { topic, partition, offset } of positions)
      this.parts.set(topic, partition, new Fetched(topic, partition, offset))
    this.all = [...this.parts.values()]
    this.ask()
  }

  /** Reads them no more. */
  remove(partitions: readonly TopicPartition[]): void {
    this.drop(partitions)
    this.all = [...this.parts.values()]
    this.ask()
  }

  hold(topic: string, isHeld: boolean): void {
    if (isHeld) this.held.add(topic)
    else this.held.delete(topic)
    this.ask()
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.chunks.length = 0
    this.brokers.close()
  }

  /** Sends what requests there are to send. */
  private ask(): void {
    if (this.closed || this.waiting >= allBytes || this.all.every(isAsked)) return
    const now = performance.now()
    const byNode = new Map<number, Fetched[]>()
    const unled = new Set<string>()
    /** Those of which some partitions are left out for now. */
    const partly = new Set<number | undefined>()
    for (const part of this.all) {
      if (part.asking !== undefined || part.isStray || this.held.has(part.topic)) continue
      if (part.waiting >= partBytes) {
        partly.add(this.nodeOf(part, now))
        continue
      }
      if (part.restsUntil > now) {
        this.askAt(part.restsUntil)
        continue
      }
      const node = this.nodeOf(part, now)
      if (node === undefined) unled.add(part.topic)
      else if (byNode.has(node)) byNode.get(node)?.push(part)
      else byNode.set(node, [part])
    }
    if (unled.size > 0) void this.refresh([...unled])
    for (const [node, parts] of byNode) if (!this.asked.has(node)) void this.fetch(node, parts, !partly.has(node))
  }

  private nodeOf(part: Fetched, now: number): number | undefined {
    if (part.replica !== undefined && part.replica.until > now) return part.replica.node
    return this.brokers.leaderOf(part.topic, part.partition)?.node
  }

  private async fetch(node: number, parts: readonly Fetched[], isWhole: boolean): Promise<void> {
    const request = this.requestFor(parts, isWhole)
    this.asked.add(node)
    for (const part of parts) part.asking = request
    try {
      const connection = await this.brokers.connectionTo(node)
      if (this.closed) return
      const answer = await connection.request(fetch, request, request.maxWaitMs + answerMs)
      if (this.closed) return
      for (const one of answer.partitions) {
        const part = this.parts.get(one.topic, one.partition)
        // Whoever is read elsewhere now, or no more, has nothing of it.
        if (part?.asking !== request) continue
        part.asking = undefined
        this.take(part, one)
      }
      for (const part of parts) if (part.asking === request) part.asking = undefined
      if (answer.throttleMs > 0) await this.throttled(answer.throttleMs)
    } catch (error) {
      if (this.closed) return
      for (const part of parts) {
        if (part.asking === request) part.asking = undefined
        this.rest(part)
      }
      this.events.failed(error as ClientError)
      void this.refresh([...new Set(parts.map(({ topic }) => topic))])
    } finally {
      this.asked.delete(node)
    }
    // The next answer is on its way while this one is worked on.
    this.ask()
    if (this.chunks.length > 0) this.events.arrived()
  }

  private requestFor(parts: readonly Fetched[], isWhole: boolean): FetchRequest {
    const { rack, minBytes = 1, maxWaitMs = waitMs, maxBytes = allBytes, partitionBytes = partBytes } = this.options
    // The first of them gets a batch whatever its size, and each what those before it leave: all are the first in turn.
    const first = this.turn++ % parts.length
    const topics = new Map<string, FetchRequest['topics'][number]['partitions'][number][]>()
    let largest = Math.min(maxBytes, allBytes - this.waiting)
    for (let index = 0; index < parts.length; index++) {
      const { topic, partition, offset, epoch, most } = parts[(first + index) % parts.length]!
      largest = Math.max(largest, most)
      const leaderEpoch = this.brokers.leaderOf(topic, partition)?.epoch ?? -1
      const one = { partition, leaderEpoch, offset, lastFetchedEpoch: epoch, maxBytes: Math.max(most, partitionBytes) }
      const others = topics.get(topic)
      if (others === undefined) topics.set(topic, [one])
      else others.push(one)
    }
    return {
      maxWaitMs: isWhole ? maxWaitMs : Math.min(maxWaitMs, shortWaitMs),
      minBytes,
      maxBytes: largest,
      rack,
      topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    }
  }

  private take(part: Fetched, answer: FetchedPartition): void {
    if (answer.error !== errors.none) return this.refused(part, answer.error)
    if (answer.diverging !== undefined) return this.stray(part, codes.logTruncated)
    if (answer.preferredReplica >= 0) {
      part.replica = { node: answer.preferredReplica, until: performance.now() + replicaMs }
      return
    }
    part.end = answer.lastStableOffset >= 0 ? answer.lastStableOffset : answer.highWatermark
    if (answer.records.length === 0) {
      part.restMs = 0
      return
    }
    try {
      const { checksums } = this.options
      const decoded = decodeRecords(answer.records, part.offset, answer.aborted, { maxBytes: unpackedBytes, checksums })
      if (!(decoded instanceof Promise)) return this.put(part, decoded)
      // Until it is unpacked, nobody knows where to go on.
      part.asking = decoded
      decoded
        .then((records) => {
          part.asking = undefined
          if (this.closed || !this.isCurrent(part)) return
          this.put(part, records)
          this.ask()
          this.events.arrived()
        })
        .catch((error) => {
          part.asking = undefined
          this.broken(part, error)
        })
    } catch (error) {
      this.broken(part, error)
    }
  }

  private put(of: Fetched, { records, next, leaderEpoch, wanted }: DecodedRecords): void {
    const { topic, partition, offset } = of
    if (next === offset) {
      // Not one batch is whole.
      of.most = wanted
      return
    }
    of.most = 0
    of.restMs = 0
    of.offset = next
    if (leaderEpoch >= 0) of.epoch = leaderEpoch
    const last = records.length - 1
    for (const [index, one] of records.entries()) {
      this.add(of, new FetchedChunk(topic, partition, one, index === last ? next : 0), one.bytes.length)
    }
    if (last < 0) this.add(of, new FetchedChunk(topic, partition, undefined, next), 0)
  }

  private drop(partitions: readonly TopicPartition[]): void {
    const gone = new Set(partitions.map(({ topic, partition }) => this.parts.get(topic, partition)))
    for (const { topic, partition } of partitions) this.parts.delete(topic, partition)
    const left = this.chunks.filter((one) => !gone.has(one.of))
    for (const one of this.chunks) if (gone.has(one.of)) this.forget(one)
    this.chunks.splice(0, this.chunks.length, ...left)
  }

  private add(of: Fetched, chunk: FetchedChunk, bytes: number): void {
    this.chunks.push({ of, chunk, bytes })
    of.waiting += bytes
    this.waiting += bytes
  }

  private forget({ of, bytes }: { readonly of: Fetched; readonly bytes: number }): void {
    of.waiting -= bytes
    this.waiting -= bytes
  }

  private refused(part: Fetched, code: number): void {
    if (code === errors.outOfRange) return this.stray(part, codes.noOffset)
    part.replica = undefined
    this.rest(part)
    if (code === errors.refused)
      this.events.failed(failure(part, codes.topicRefused, 'the broker refuses to let it be read'))
    else if (code === errors.unknownTopic)
      this.events.failed(failure(part, codes.unknownTopic, 'the broker does not know it'))
    else if (!moved.includes(code)) this.events.failed(failure(part, code, `the broker answers with error ${code}`))
    void this.refresh([part.topic])
  }

  /** A replica may be behind what its leader told before: only the leader's word counts. */
  private stray(part: Fetched, code: number): void {
    if (part.replica !== undefined) {
      part.replica = undefined
      return this.rest(part)
    }
    part.isStray = true
    this.events.failed(failure(part, code, `there is no offset ${part.offset}`))
  }

  private broken(part: Fetched, error: unknown): void {
    if (this.closed || !this.isCurrent(part)) return
    this.rest(part)
    const isOfClient = error instanceof MalformedError && clientReads.includes(error.code)
    this.events.failed(failure(part, isOfClient ? codes.unreadable : codes.badMessage, messageOf(error)))
  }

  private rest(part: Fetched): void {
    part.restMs = Math.min(longestRestMs, part.restMs === 0 ? firstRestMs : part.restMs * 2)
    part.restsUntil = performance.now() + part.restMs
    this.askAt(part.restsUntil)
  }

  private async throttled(ms: number): Promise<void> {
    this.events.throttled(ms)
    if (this.chunks.length > 0) this.events.arrived()
    await new Promise((resolve) => setTimeout(resolve, ms).unref())
  }

  private async refresh(topics: readonly string[]): Promise<void> {
    if (this.refreshing) return
    this.refreshing = true
    const again = performance.now() + firstRestMs
    try {
      await this.brokers.refresh(topics)
    } catch (error) {
      if (!this.closed) this.events.failed(error as ClientError)
    }
    // Who has no leader yet is asked after again, and not at once.
    setTimeout(() => {
      this.refreshing = false
      this.ask()
    }, again - performance.now())
  }

  private askAt(time: number): void {
    if (this.closed || this.timerAt <= time) return
    clearTimeout(this.timer)
    this.timerAt = time
    this.timer = setTimeout(
      () => {
        this.timerAt = Number.POSITIVE_INFINITY
        this.ask()
      },
      Math.max(1, time - performance.now()),
    )
  }

  private isCurrent(part: Fetched): boolean {
    return this.parts.get(part.topic, part.partition) === part
  }
}

function failure(where: TopicPartition, code: number, what: string): ClientError & Error {
  return Object.assign(new Error(`${partitionName(where)}: ${what}`), { code })
}
