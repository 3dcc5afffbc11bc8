import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import {
  aggregate,
  branch,
  type Configurable,
  collect,
  eventTime,
  type Flow,
  flow,
  from,
  hopping,
  json,
  kafka,
  merge,
  type Operator,
  otherwise,
  to,
  tumbling,
  type WindowSpec,
} from '../../src/index.js'
import type { Windowed } from '../../src/operators/windows.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { assignLater } from '../support/late-assignment.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly id: number
  readonly t: number
}

/** Three inputs that each have their own out-of-orderness and idleness. */
const inputs = () =>
  merge(
    from(
      kafka.source({ topic: 'a' }),
      json<Visit>(),
      eventTime(({ t }) => t, { idleAfter: '1s' }),
    ),
    from(
      kafka.source({ topic: 'b' }),
      json<Visit>(),
      eventTime(({ t }) => t, { outOfOrder: '2s', idleAfter: '3s' }),
    ),
    from(
      kafka.source({ topic: 'c' }),
      json<Visit>(),
      eventTime(({ t }) => t, { outOfOrder: '500ms', idleAfter: '500ms' }),
    ),
  )

const listed = (name: string, window: Configurable<WindowSpec>): Operator<Visit, Windowed<number[]>> =>
  aggregate(name, { window, of: collect(({ id }: Visit) => id, { max: 1_000 }), late: 'dead-letter' })

const flows: Record<string, Flow> = {
  'tumbling windows': flow(inputs(), listed('ids', tumbling('2s')), listSink()),
  'hopping windows': flow(inputs(), listed('ids', hopping('4s', { advance: '1s' })), listSink()),
  'windows of branches': flow(
    inputs(),
    branch(
      to('third', ({ id }: Visit) => id % 3 === 0, listed('thirds', tumbling('2s')), listSink()),
      otherwise('other', listed('others', tumbling('3s')), listSink()),
    ),
  ),
}

const record = fc.record({
  source: fc.nat(2),
  partition: fc.constantFrom(0, 0, 0, 1),
  waitMs: fc.constantFrom(0, 50, 100, 300, 700, 2_500),
  behindMs: fc.constantFrom(0, 0, 0, 400, 1_500, 6_000, 20_000),
})
const given = fc.record({
  records: fc.array(record, { minLength: 3, maxLength: 40 }),
  crashes: fc.array(fc.integer({ min: 1, max: 15_000 }), { maxLength: 3 }),
  assignedAfter: fc.tuple(fc.constantFrom(0, 0, 900), fc.constantFrom(0, 0, 5_000), fc.constantFrom(0, 2_000)),
  everyMs: fc.constantFrom(250, 1_000),
  repartition: fc.boolean(),
})

/** Where each record came out: `in` windows, `late`, or both, which it must not. */
function played(
  declared: Flow,
  { records, crashes, assignedAfter, everyMs, repartition }: typeof given extends fc.Arbitrary<infer T> ? T : never,
): Map<number, string> {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { repartition, epoch: { maxRecords: 10, everyMs } })
  let at = 1
  for (const source of [0, 1, 2]) {
    virtual.reserve(1, source)
    const delay = assignedAfter[source] ?? 0
    if (delay > 0) assignLater(virtual, source, delay, scheduler)
  }
  for (const [id, { source, partition, waitMs, behindMs }] of records.entries()) {
    at += waitMs
    virtual.append(at, { id, t: 100_000 + at - behindMs }, { partition }, source)
  }
  scheduler.schedule(() => virtual.start(), 0)
  for (const moment of crashes) scheduler.schedule(() => (virtual.crash(), virtual.start()), moment)
  const end = at + 75_000
  scheduler.schedule(() => virtual.stop(), end)
  scheduler.schedule(() => virtual.crash(), end + 1_000)
  scheduler.flush()
  const found = new Map<number, Set<string>>()
  const note = (id: number, where: string) => found.set(id, (found.get(id) ?? new Set()).add(where))
  const windows = new Set<string>()
  for (const { sink, value } of virtual.committed) {
    const { window, value: ids } = value as Windowed<number[], null>
    const name = `${sink} ${window.start.getTime()}`
    if (windows.has(name)) throw new Error(`${name} was told twice`)
    windows.add(name)
    for (const id of ids) note(id, 'in')
  }
  for (const { record: letter } of virtual.deadLetters)
    note((JSON.parse(String(letter.origin.value)) as Visit).id, 'late')
  return new Map(records.map((_, id) => [id, [...(found.get(id) ?? ['nowhere'])].sort().join(' and ')]))
}

test.each(Object.entries(flows))(
  '%s of three inputs: each record is in them or late, whatever is idle, behind, assigned late or begun anew',
  (_, declared) => {
    fc.assert(
      fc.property(given, (one) => {
        const lost = [...played(declared, one)].filter(([, where]) => where !== 'in' && where !== 'late')
        expect(lost).toEqual([])
      }),
      { numRuns: 12 },
    )
  },
)
