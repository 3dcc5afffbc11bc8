import fc from 'fast-check'
import { VirtualTimeScheduler } from 'rxjs'
import { expect, test } from 'vitest'
import { aggregate, count, countDistinct, flow, json, kafka, keyBy, recordKey } from '../../src/index.js'
import { VirtualFlow } from '../../src/testing/virtual-flow.js'
import { listSink } from '../support/list-sink.js'

interface Visit {
  readonly user: string
  readonly page: number
  readonly partition: number
}

interface Total {
  readonly key: string
  readonly value: { readonly visits: number; readonly pages: number }
}

const visit = fc.record({
  user: fc.constantFrom('ann', 'bob', 'cyd', 'dee', 'eve'),
  page: fc.nat(6),
  partition: fc.nat(2),
})
const visits = fc.array(visit, { minLength: 1, maxLength: 80, size: 'max' })

const declared = flow(
  kafka.source({ topic: 'visits' }),
  json<Visit>(),
  keyBy(({ user }) => user),
  aggregate('by-user', { by: recordKey, of: { visits: count(), pages: countDistinct(({ page }) => page) } }),
  listSink(),
)

/** The last total of each user, after crashes at these moments. */
function totals(records: readonly Visit[], crashes: readonly number[], maxRecords: number) {
  const scheduler = new VirtualTimeScheduler()
  const virtual = new VirtualFlow(declared, scheduler, { repartition: true, epoch: { maxRecords, everyMs: 7 } })
  virtual.reserve(2)
  for (const [at, { partition, ...value }] of records.entries()) virtual.append(at + 1, value, { partition })
  scheduler.schedule(() => virtual.start(), 0)
  for (const at of crashes) {
    scheduler.schedule(() => virtual.crash(), at)
    scheduler.schedule(() => virtual.start(), at)
  }
  scheduler.schedule(() => virtual.stop(), records.length + 300)
  scheduler.flush()
  const last = virtual.committed.map(({ value }) => value as Total)
  return Object.fromEntries(last.map(({ key, value }) => [key, value]))
}

function model(records: readonly Visit[]) {
  const users = new Map<string, { visits: number; pages: Set<number> }>()
  for (const { user, page } of records) {
    const known = users.get(user) ?? { visits: 0, pages: new Set() }
    known.visits++
    known.pages.add(page)
    users.set(user, known)
  }
  return Object.fromEntries([...users].map(([user, { visits, pages }]) => [user, { visits, pages: pages.size }]))
}

test('totals over re-keyed records count each of them once, whatever crashes', () => {
  fc.assert(
    fc.property(
      visits,
      fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 20 }),
      (records, crashes, maxRecords) => {
        const moments = [...crashes].sort((a, b) => a - b)
        expect(totals(records, moments, maxRecords)).toEqual(model(records))
      },
    ),
    { numRuns: 60 },
  )
})
