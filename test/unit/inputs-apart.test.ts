import { VirtualTimeScheduler } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { Inputs } from '../../src/engine/inputs.js'
import { aggregate, count, type Flow, flow, from, json, kafka, map, merge } from '../../src/index.js'
import type { Position, SourceTask } from '../../src/model/index.js'
import { VirtualFlow, type VirtualFlowOptions } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

const [web, shop] = [kafka.source({ topic: 'web' }), kafka.source({ topic: 'shop' })]
const passed = flow(merge(from(web, json()), from(shop, json())), listSink())
const counted = flow(
  merge(from(web, json(), aggregate('n', { of: count() })), from(shop, json())),
  map((value) => value),
  listSink(),
)

/** The topics of the positions that each source is told of: at its start, by commits, and after a failure. */
function told(declared: Flow, options: VirtualFlowOptions): Record<string, string[]> {
  const scheduler = new VirtualTimeScheduler()
  let fails = true
  const beforeWrite = () => {
    if (scheduler.now() > 50 && fails) {
      fails = false
      throw new Error('away')
    }
  }
  const virtual = new VirtualFlow(declared, scheduler, { ...options, beforeWrite })
  const seen: Record<string, Set<string>> = {}
  const note = (what: string, topic: string, positions: readonly Position[]) => {
    seen[`${what} ${topic}`] ??= new Set()
    for (const position of positions) seen[`${what} ${topic}`]?.add(position.topic)
  }
  const listen = (source: SourceTask & { readonly topic: string }) => {
    const { commit, rewind } = source
    const { topic } = source
    Object.assign(source, {
      commit: (positions: readonly Position[]) => (note('commit', topic, positions), commit.call(source, positions)),
      rewind: (positions: readonly Position[], error: unknown) => (
        note('rewind', topic, positions), rewind.call(source, positions, error)
      ),
    })
  }
  virtual.append(0, 1, {}, 0)
  virtual.append(10, 1, {}, 1)
  virtual.append(60, 1, {}, 0)
  virtual.append(70, 1, {}, 1)
  const inside = virtual as unknown as { sources: LogOf[]; internals: Map<string, LogOf> }
  inside.sources.forEach(listen)
  const { set } = inside.internals
  inside.internals.set = function (topic, log) {
    listen(log)
    return set.call(this, topic, log)
  }
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.stop(), 5_000)
  scheduler.schedule(() => virtual.crash(), 5_001)
  scheduler.flush()
  expect(fails).toBe(false)
  return Object.fromEntries(Object.entries(seen).map(([what, topics]) => [what, [...topics]]))
}

type LogOf = SourceTask & { readonly topic: string }

describe('a source', () => {
  test('is told of its own positions only', () => {
    const topics = told(passed, {})
    expect(Object.keys(topics).length).toBeGreaterThanOrEqual(4)
    for (const [what, seen] of Object.entries(topics)) expect([[], [what.split(' ')[1]]]).toContainEqual(seen)
  })

  test('of the user’s is not told of an internal topic beside it, nor the other way round', () => {
    const topics = told(counted, { repartition: true })
    expect(Object.keys(topics)).toContain('commit test.flow.n.repartition')
    for (const [what, seen] of Object.entries(topics)) expect([[], [what.split(' ')[1]]]).toContainEqual(seen)
  })
})

describe('inputs', () => {
  const web = { topic: 'web', partition: 0 }

  test('have not told how many partitions there are before each was given its own', () => {
    const inputs = new Inputs(2)
    inputs.assigned(0, [web], 1)
    expect([inputs.total, inputs.areAll([web])]).toEqual([Number.POSITIVE_INFINITY, false])
    inputs.assigned(1, [], 0)
    expect([inputs.total, inputs.areAll([web])]).toEqual([1, true])
  })

  test('are not whole by more partitions of another', () => {
    const inputs = new Inputs(2)
    inputs.assigned(0, [web], 1)
    inputs.assigned(1, [{ topic: 'shop', partition: 0 }], 2)
    const held = [web, { topic: 'web', partition: 1 }, { topic: 'shop', partition: 0 }]
    expect(inputs.areAll(held)).toBe(false)
  })

  test('that turn out to read one topic are refused', () => {
    const inputs = new Inputs(2)
    inputs.assigned(0, [web], 1)
    expect(() => inputs.assigned(1, [web], 1)).toThrow("two of them read topic 'web'")
  })
})

test('a flow whose sources turn out to read one topic stops, and says why', () => {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(passed, scheduler)
  for (const source of [0, 1]) virtual.append(0, 1, {}, source)
  const [first, second] = (virtual as unknown as { sources: LogOf[] }).sources as [LogOf, LogOf]
  Object.assign(second, { topic: first.topic } satisfies Partial<LogOf>)
  scheduler.schedule(() => virtual.start(), 0)
  scheduler.schedule(() => virtual.crash(), 10_000)
  scheduler.flush()
  expect(virtual.status()).toMatchObject({ state: 'failed', error: { code: 'WEIR_CONFIG_INVALID' } })
})
