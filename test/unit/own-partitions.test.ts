import { EMPTY, ignoreElements, tap, VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { compile, Engine, memory } from '../../src/engine/index.js'
import {
  aggregate,
  collect,
  defineSink,
  defineSource,
  eventTime,
  flow,
  from,
  merge,
  type Position,
  type Source,
  StreamRecord,
  silentLogger,
  type TopicFacts,
  tumbling,
} from '../../src/index.js'
import { MemoryCheckpoints } from '../../src/state/index.js'
import { LogSource } from '../../src/testing/log-source.js'
import { VirtualClock } from '../../src/testing/virtual-clock.js'

interface Visit {
  readonly id: number
  readonly t: number
}

/** A log of which some facts are known, and given back by the engine as they were committed. */
class FactualLog extends LogSource {
  readonly given: (TopicFacts | undefined)[] = []

  constructor(
    topic: string,
    scheduler: VirtualTimeScheduler,
    private readonly facts: TopicFacts | undefined,
  ) {
    super(topic, scheduler, undefined)
  }

  override positions() {
    return super.positions().map((position) => ({ ...position, ...(this.facts && { facts: this.facts }) }))
  }

  override rewind(positions: readonly Position[]) {
    this.given.push(...positions.map(({ facts }) => facts))
    return super.rewind(positions)
  }
}

/** A source that names the topics that it reads, or names none. */
function sourceOf(log: FactualLog, isNamed: boolean): Source<Visit> {
  return defineSource({
    name: log.topic,
    summary: 'A log of the test.',
    options: z.strictObject({}),
    replayable: true,
    positions: 'store',
    ...(isNamed && { reads: () => ({ topics: [log.topic], partitions: log.partitions, create: true }) }),
    build: () => log as never,
  }).declare({})
}

test.each([undefined, 'an id'])(
  'partitions of a source that names no topics, and gives facts of them, are read on beside another input in each life, and their topic is never told to be forgotten (id: %s)',
  (id) => {
    const scheduler = new VirtualTimeScheduler()
    const own = new FactualLog('own', scheduler, { partitions: 2, first: 2, start: 0, end: 100, ...(id && { id }) })
    const other = new FactualLog('other', scheduler, undefined)
    const given: Visit[] = []
    for (let index = 0; index < 60; index++) {
      const [log, partition] = ([[own, 0] as const, [own, 1] as const, [other, 0] as const] as const)[index % 3]!
      const visit = { id: index, t: 1_000 * index }
      const at = 500 * index + 1
      given.push(visit)
      const origin = { topic: log.topic, partition, offset: log.end(partition), timestamp: at }
      log.append(at, new StreamRecord(null, visit, at, [], origin))
    }
    const told: { readonly window: { readonly start: Date }; readonly value: number[] }[] = []
    let pending: typeof told = []
    const sink = defineSink({
      name: 'list',
      summary: 'Keeps what is committed.',
      options: z.strictObject({}),
      guarantee: () => 'exactly-once',
      build: () => ({
        write: (records$) => {
          pending = []
          return records$.pipe(
            tap(({ value }) => pending.push(value as never)),
            ignoreElements(),
          )
        },
        committed: () => {
          told.push(...pending)
          return EMPTY
        },
      }),
    }).declare({})
    const inputs = [own, other].map((log) =>
      from(
        sourceOf(log, log === other),
        eventTime(({ t }: Visit) => t, { idleAfter: '5s', maxAhead: false, onError: 'fail' }),
      ),
    )
    const declared = flow(
      merge(...inputs),
      aggregate('seen', {
        window: tumbling('10s'),
        by: 'all',
        of: collect(({ id }: Visit) => id, { max: 100 }),
        late: 'fail',
      }),
      sink as never,
    ).with({ epoch: { maxRecords: 4, every: 200 } })
    const checkpoints = new MemoryCheckpoints()
    const noticed: unknown[] = []
    const live = () => {
      const engine = new Engine(
        compile({ app: 'test', checkpoints: memory(), flows: { flow: declared } }, { environment: {} }),
        {
          clock: new VirtualClock(scheduler),
          log: silentLogger,
          http: { serve: () => EMPTY },
          production: false,
          dataDirectory: '.',
          checkpoints,
          observer: { topic: (change) => void noticed.push(change) },
        },
      )
      return engine.run().subscribe()
    }
    let running = live()
    for (const at of [5_000, 12_345, 20_001]) {
      scheduler.schedule(() => {
        running.unsubscribe()
        running = live()
      }, at)
    }
    scheduler.schedule(() => running.unsubscribe(), 120_000)
    scheduler.flush()

    expect(noticed).toEqual([])
    expect(own.given).toContainEqual(expect.objectContaining({ partitions: 2, end: 100 }))
    const seen = told.flatMap(({ value }) => value).sort((one, other) => one - other)
    expect(seen).toEqual(given.map((visit) => visit.id))
    for (const { window, value } of told)
      expect(value.every((id) => given[id]!.t - window.start.getTime() < 10_000)).toBe(true)
  },
)
