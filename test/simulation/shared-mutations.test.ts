import { concat, defer, EMPTY, type Observable, of, map as rxMap, tap } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { EventTime } from '../../src/engine/event-time.js'
import { Awakenings } from '../../src/engine/repartition/awakenings.js'
import { pack, unpack } from '../../src/engine/repartition/messages.js'
import { FlowTask } from '../../src/engine/task.js'
import {
  type AwaitedAgain,
  type ChannelMessage,
  type ChannelWriter,
  type CheckpointStore,
  type OperatorContext,
  type PartitionTold,
  type Position,
  type SourceTask,
  StreamRecord,
} from '../../src/model/index.js'
import { Place } from '../../src/operators/internal/groups.js'
import { Slots } from '../../src/operators/internal/merging.js'
import { TaskStores } from '../../src/state/index.js'
import { Cluster } from '../../src/testing/simulation/cluster.js'
import type { Sabotage } from '../../src/testing/simulation/simulation.js'
import { TransactionServer } from '../../src/testing/simulation/transactions.js'
import {
  allDone,
  busy,
  committing,
  firstBroken,
  once,
  results,
  sourceOf,
  storeOf,
  writerOf,
  writing,
} from './mutants.js'

const isInternal = ({ origin }: StreamRecord) => origin.topic.endsWith('.repartition')

/** A source of which the records that come from another task are changed on their way. */
function reading(change: (record: StreamRecord) => StreamRecord) {
  return (source: SourceTask): SourceTask =>
    sourceOf(source, {
      read: (epoch) => source.read(epoch).pipe(rxMap((record) => (isInternal(record) ? change(record) : record))),
    })
}

/** Every record seems to come for the first time. */
const neverSeen = reading((record) => {
  const message = unpack(record.value as Uint8Array)
  if (message.kind !== 'record') return record
  return record.with(pack({ ...message, offset: record.origin.offset }))
})

/** How far a partition has come is written before what it has sent, which follows an epoch later. */
function tellingFirst(writer: ChannelWriter): ChannelWriter {
  const [fresh, late]: [ChannelMessage[], ChannelMessage[]] = [[], []]
  return writerOf(writer, {
    write(message) {
      if (unpack(message.value as Buffer).kind === 'told') writer.write(message)
      else fresh.push(message)
    },
    flush: () =>
      defer(() => {
        for (const message of late.splice(0)) writer.write(message)
        late.push(...fresh.splice(0))
        return writer.flush()
      }),
  })
}

/** Of all the times that it is opened, only the first does anything. */
function openingOnce(writer: ChannelWriter): ChannelWriter {
  let partitions: number | undefined
  const open = () =>
    partitions === undefined ? writer.open().pipe(tap((count) => (partitions = count))) : of(partitions)
  return writerOf(writer, { open: () => defer(open) })
}

/** Writes each partial again after three others, as a task does that is late and does not know it. */
function haunted(writer: ChannelWriter): ChannelWriter {
  const old: ChannelMessage[] = []
  return writerOf(writer, {
    write: (message) => {
      writer.write(message)
      if (unpack(message.value as Buffer).kind !== 'partial') return
      old.push(message)
      if (old.length > 3) writer.write(old.shift() as ChannelMessage)
    },
  })
}

/** Says at once that all is written, and goes on writing; what fails is forgotten. */
const acknowledgingEarly = (writer: ChannelWriter): ChannelWriter => writerOf(writer, { flush: () => EMPTY })

describe('internal topics', busy, () => {
  test.each<[string, RegExp, Sabotage, RegExp, from?: number]>([
    ['replayed records are not dropped', /^keyed counts/, { source: neverSeen }, results],
    ['it is told how far it has come before what it has sent', /^shared windows,/, { writer: tellingFirst }, results],
    [
      'nobody waits until it is written',
      /^(keyed|shared) windows,|^shared windows of idle/,
      { writer: acknowledgingEarly },
      /^(results|no comm|everything)/,
    ],
    [
      'nobody is waited for',
      /^shared windows,/,
      { writer: writing((message) => (message.kind === 'told' ? { ...message, idle: true } : message)) },
      results,
    ],
    [
      'a topic that could not be written to is not opened again',
      /^(keyed|shared) windows/,
      { writer: openingOnce },
      allDone,
    ],
    [
      'one partition only is told how far others have come',
      /^keyed windows/,
      {
        writer: (writer) =>
          writerOf(writer, {
            write: (message) => {
              if (message.partition === undefined || message.partition === 0) writer.write(message)
            },
          }),
      },
      allDone,
    ],
    [
      'an idle partition is taken to have moved on further than it has',
      /of idle partitions/,
      {
        writer: writing((message) =>
          message.kind === 'told' && message.idle ? { ...message, movedOnMs: message.movedOnMs + 60_000 } : message,
        ),
      },
      results,
    ],
    [
      'partitions are never idle',
      /of idle partitions/,
      {
        writer: writing((message) => (message.kind === 'told' ? { ...message, idle: false, movedOnMs: 0 } : message)),
      },
      allDone,
    ],
    [
      'what was told before is forgotten',
      /^(keyed|shared)/,
      { checkpoints: (store) => storeOf(store, { load: () => EMPTY }) },
      /^(results|no comm|nothing else|each result|everything|a restore brings)/,
    ],
    [
      'the topic is truncated further than is committed',
      /^(keyed|shared)/,
      { source: (source) => sourceOf(source, { commit: (positions) => source.commit(positions.map(beyond)) }) },
      /^nothing is truncated that is not committed/,
    ],
  ])('%s', (_, named, sabotage, promise, from = 1) => {
    expect(firstBroken(named, sabotage, from)).toMatch(promise)
  })
})

const beyond = (position: Position): Position => ({ ...position, offset: position.offset + 1 })

/** The engine's own parts as they are inside. */
const task = FlowTask.prototype as unknown as Record<string, (...args: never[]) => Observable<never>>

describe('the engine itself, with internal topics', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('a partial takes the place of any other', () => {
    vi.spyOn(Slots.prototype, 'put').mockImplementation(function (this: Slots, source, slot) {
      const inside = this as unknown as { bySource: Map<string, unknown>; fresh: Set<string> }
      inside.bySource.set(source, slot)
      inside.fresh.add(source)
      return true
    })
    expect(firstBroken(/of idle partitions/, { writer: haunted })).toMatch(results)
  })

  test('what is still written of old partials changes nothing', () => {
    expect(firstBroken(/of idle partitions/, { writer: haunted })).toBeUndefined()
  })

  test('a partial is added to those before it', () => {
    const original = Slots.prototype.put
    let count = 0
    vi.spyOn(Slots.prototype, 'put').mockImplementation(function (this: Slots, source, slot) {
      return original.call(this, `${source}.${count++}`, slot)
    })
    expect(firstBroken(/^(shared|keyed) windows/)).toMatch(results)
  })

  test.each([/dead letters of trailing/, /partitions that trail under clocks that jump/])(
    'nothing is sent ahead by partitions that wake up: %s',
    (named) => {
      vi.spyOn(EventTime.prototype, 'toldIdle').mockReturnValue(false)
      expect(firstBroken(named)).toMatch(/^(no task errs by itself|everything is done)/)
    },
  )

  test('a partition that wakes up sends nothing ahead any more before others await it', () => {
    const inside = Awakenings.prototype as unknown as Record<'told', (...args: never[]) => void>
    const original = inside.told as (name: string, partition: PartitionTold) => void
    vi.spyOn(inside, 'told').mockImplementation(function (this: Awakenings, name: string, partition: PartitionTold) {
      original.call(this, name, partition)
      const { all, awaited } = this as unknown as { all: ReadonlyMap<string, unknown>; awaited: AwaitedAgain }
      if (all.has(name)) awaited(partition, Number.NEGATIVE_INFINITY)
    } as never)
    expect(firstBroken(/dead letters of trailing/)).toMatch(/^(no task errs by itself|everything is done)/)
  })

  test('what is late is judged by the time of a task that has all partitions', () => {
    const original = Place.prototype.of
    vi.spyOn(Place.prototype, 'of').mockImplementation(function (this: Place<unknown>, record, part) {
      const { context } = this as unknown as { context: OperatorContext }
      const { time } = context
      const inside = this as unknown as { closedFor: () => number }
      if (context.stage === 'windows') inside.closedFor = () => (time.isWhole ? time.closed : Number.NEGATIVE_INFINITY)
      return original.call(this, record, part)
    })
    expect(firstBroken(/dead letters of trailing/, {}, 128)).toMatch(/^what is rejected does not come out/)
  })

  test('state of partitions that were given back stays', () => {
    vi.spyOn(TaskStores.prototype, 'release').mockImplementation(() => undefined)
    expect(firstBroken(/^shared windows,/)).toMatch(/^no task errs by itself/)
  })

  test('positions go to the group, and the topic is truncated, before they are committed', () => {
    const original = task['commit'] as (this: FlowTask, epoch: unknown) => Observable<never>
    vi.spyOn(task, 'commit').mockImplementation(function (this: FlowTask, epoch: unknown) {
      const { sources } = (this as unknown as { parts: { pipeline: { sources: readonly SourceTask[] } } }).parts
        .pipeline
      return concat(...sources.map((source) => source.commit(source.positions())), original.call(this, epoch))
    } as never)
    expect(firstBroken(/^(keyed|shared)/)).toMatch(/^nothing is truncated that is not committed/)
  })
})

/** Commits what was written, and not how far that is. */
const withoutPositions = (store: CheckpointStore): CheckpointStore =>
  storeOf(store, {
    begin: (name) => {
      const transaction = store.begin(name)
      const { commit } = transaction
      transaction.commit = (epoch) => commit.call(transaction, { ...epoch, partitions: [] })
      return transaction
    },
  })

/** The brokers as they are inside. */
interface ServerInside {
  readonly producers: Map<string, unknown>
  speaking(speaker: { readonly id: string }): unknown
}
const server = TransactionServer.prototype as unknown as ServerInside

describe('transactions of Kafka', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test.each<[string, Sabotage, RegExp, from?: number]>([
    ['positions are left out', { checkpoints: withoutPositions }, /^(each result comes out once|everything is done)/],
    ['state is left out', { checkpoints: committing((partition) => ({ ...partition, chunks: [] })) }, results],
    [
      'what failed is not undone',
      {
        checkpoints: (store) =>
          storeOf(store, {
            begin: (name) => Object.assign(store.begin(name), { rollback: () => EMPTY }),
          }),
      },
      once,
      21,
    ],
  ])('%s', (_, sabotage, promise, from = 1) => {
    expect(firstBroken(/transactions/, sabotage, from)).toMatch(promise)
  })

  test('the commit of a producer counts that was fenced off', () => {
    vi.spyOn(server, 'speaking').mockImplementation(function (this: ServerInside, { id }) {
      return this.producers.get(id)
    })
    expect(firstBroken(/transactions/)).toMatch(/^(no effect counts after fencing|each result comes out once)/)
  })

  test('readers see what was aborted', () => {
    vi.spyOn(Cluster.prototype, 'readCommitted').mockImplementation(function (this: Cluster, partition) {
      return this.read({ ...partition, offset: 0 }, Number.POSITIVE_INFINITY)
    })
    expect(firstBroken(/transactions/)).toMatch(/^who reads what is committed reads each result once/)
  })
})
