import { of } from 'rxjs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Assignment } from '../../src/engine/assignment.js'
import { EventTime } from '../../src/engine/event-time.js'
import { Inheritance } from '../../src/engine/inheritance.js'
import { receive } from '../../src/engine/repartition/receive.js'
import type { Position } from '../../src/model/index.js'
import { TopicBeginning } from '../../src/state/topic-protocol/beginning.js'
import { Judgement } from '../../src/state/topic-protocol/judgement.js'
import { Sharing } from '../../src/state/topic-protocol/sharing.js'
import { TopicWatching } from '../../src/state/topic-protocol/watching.js'
import { Cluster } from '../../src/testing/simulation/cluster.js'
import { allDone, busy, firstBroken, writing } from './mutants.js'

/** The rules as they are inside. */
interface JudgementInside {
  within(from: Position, now: { readonly start?: number }): number
}
interface BeginningInside {
  isGone(): boolean
  isAdded(): boolean
  firstOf(topic: string): number | undefined
  readonly seen: ReadonlyMap<string, { readonly partitions: number }>
}
interface WatchingInside {
  compareTopic(topic: string, known: readonly unknown[], now: unknown): unknown
}
const judgement = Judgement.prototype as unknown as JudgementInside
const beginning = TopicBeginning.prototype as unknown as BeginningInside
const watching = TopicWatching.prototype as unknown as WatchingInside

const changing = /of a changing topic/

describe('topics that change', busy, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('a topic that was created again is taken for the one that was read', () => {
    const { describe: original } = Cluster.prototype
    vi.spyOn(Cluster.prototype, 'describe').mockImplementation(function (this: Cluster, names) {
      const seen = original.call(this, names)
      return new Map([...seen].map(([topic, now]) => [topic, now && { ...now, id: undefined }]))
    })
    expect(firstBroken(/^copies of a changing topic/)).toMatch(/./)
  })

  test('what was deleted before it was read is not counted', () => {
    vi.spyOn(Judgement.prototype, 'lose').mockImplementation(() => undefined)
    expect(firstBroken(changing)).toMatch(/^everything is done in the end: .* is nowhere/)
  })

  test('more is told to be lost than was deleted', () => {
    const { lose } = Judgement.prototype
    vi.spyOn(Judgement.prototype, 'lose').mockImplementation(function (this: Judgement, from, to) {
      lose.call(this, from, to + 1)
    })
    expect(firstBroken(changing)).toMatch(/^what is told to be lost is gone/)
  })

  test('a position beyond the end is answered with everything again, in silence', () => {
    vi.spyOn(judgement, 'within').mockImplementation((_, { start = 0 }) => start)
    expect(firstBroken(/^copies of a changing topic, exactly/)).toMatch(
      /^(each result comes out once|positions do not go back)/,
    )
  })

  test('who is given a partition that is no longer there reads it for ever', () => {
    vi.spyOn(beginning, 'isGone').mockReturnValue(false)
    expect(firstBroken(/^shared windows of a recreated topic, exactly once$/, {}, 1000)).toMatch(allDone)
  })

  test('who comes back under a lasting name has nobody read what came to be meanwhile', () => {
    vi.spyOn(Sharing.prototype, 'look').mockReturnValue(true)
    expect(firstBroken(/^copies of a changing topic, exactly once$/, {}, 1000)).toMatch(allDone)
  })

  test('partitions that were added begin at the latest', () => {
    vi.spyOn(beginning, 'isAdded').mockReturnValue(false)
    expect(firstBroken(/from the latest/)).toMatch(allDone)
  })

  test('partitions are only new as long as nobody has committed that they are there', () => {
    vi.spyOn(beginning, 'firstOf').mockImplementation(function (this: BeginningInside, topic) {
      return this.seen.get(topic)?.partitions
    })
    expect(firstBroken(/from the latest/)).toMatch(allDone)
  })

  test('windows that closed before a partition was added make dead letters of its partials', () => {
    const { begin } = EventTime.prototype
    // Of a task that goes on, every partition that is new counts as one that windows did not wait for.
    vi.spyOn(EventTime.prototype, 'goesOn').mockReturnValue()
    vi.spyOn(EventTime.prototype, 'begin').mockImplementation(function (this: EventTime, positions) {
      const known = positions.map((at) => ({ ...at, facts: at.facts && { ...at.facts, first: Number.MAX_VALUE } }))
      begin.call(this, known)
    })
    const broken = firstBroken(/^shared windows of a changing topic/, {}, 50)
    expect(broken).toMatch(/^a dead letter is the record that was refused/)
  })

  test('nobody looks into what the client has given up on', () => {
    vi.spyOn(TopicWatching.prototype, 'handle').mockReturnValue({
      do: 'rest',
      moves: [],
      findings: [],
      held: new Map(),
    })
    expect(firstBroken(changing)).toMatch(allDone)
  })

  test('where it was decided to begin is forgotten with an epoch that fails', () => {
    const { add } = Assignment.prototype
    vi.spyOn(Assignment.prototype, 'add').mockImplementation(function (this: Assignment, partition, progress) {
      this.remove([partition])
      add.call(this, partition, progress)
    })
    expect(firstBroken(/^copies of a changing topic/)).toMatch(/^where to begin is kept once an epoch has ended/)
  })

  test('what is read is taken for the topic that was last seen', () => {
    const { compareTopic } = watching
    vi.spyOn(watching, 'compareTopic').mockImplementation(function (this: WatchingInside, topic, [was], now) {
      return compareTopic.call(this, topic, [was], now)
    })
    expect(firstBroken(/^copies of a changing topic, at least/, {}, 248)).toMatch(allDone)
  })

  test('windows wait for partitions that a topic no longer has', () => {
    const writer = writing((message) => (message.kind === 'told' ? { ...message, partitions: undefined } : message))
    expect(firstBroken(/^shared windows of a recreated topic/, { writer })).toMatch(allDone)
  })

  test('what is left of partitions that are gone stays behind', () => {
    vi.spyOn(Inheritance.prototype, 'find').mockReturnValue(of([]))
    expect(firstBroken(/^shared windows of a recreated topic/, {}, 10)).toMatch(allDone)
  })

  test('partitions are told to be gone before what is left of them is sent', () => {
    vi.spyOn(EventTime.prototype as unknown as { isGone(): boolean }, 'isGone').mockReturnValue(false)
    expect(firstBroken(/^shared windows of a recreated topic/, {}, 10)).toMatch(allDone)
  })

  test('windows wait for a topic that was renamed', () => {
    const { build } = receive
    vi.spyOn(receive, 'build').mockImplementation((options, context) => {
      const { inputs } = options
      return build.call(receive, { ...options, inputs: inputs.map((topics) => [...topics, 'visits']) }, context)
    })
    expect(firstBroken(/of a renamed topic/)).toMatch(allDone)
  })

  test('windows do not wait for what is left of an input that was taken away', () => {
    const writer = writing((message) =>
      message.kind === 'told' && message.topic === 'more' ? { ...message, reads: ['more'] } : message,
    )
    expect(firstBroken(/of which an input is taken away/, { writer }, 50)).toMatch(
      /^a dead letter is the record that was refused/,
    )
  })

  test('windows are taken to have waited for an input while it was away', () => {
    const { assign } = EventTime.prototype
    vi.spyOn(EventTime.prototype, 'assign').mockImplementation(function (this: EventTime, partition, progress) {
      const { sentOnFor: _, ...kept } = progress ?? { position: 0 }
      assign.call(this, partition, progress && kept)
    })
    expect(firstBroken(/of which an input is away/)).toMatch(/^a dead letter is the record that was refused/)
  })

  test('nobody tells that nothing is left of an input that was taken away', () => {
    const writer = writing((message) => (message.kind === 'told' ? { ...message, reads: undefined } : message))
    expect(firstBroken(/of which an input is taken away/, { writer })).toMatch(allDone)
  })

  test('windows wait for an input that was taken away', () => {
    const { build } = receive
    vi.spyOn(receive, 'build').mockImplementation((options, context) => {
      return build.call(receive, { ...options, inputs: [['visits'], ['more']] }, context)
    })
    expect(firstBroken(/of which an input is taken away/)).toMatch(allDone)
  })
})
