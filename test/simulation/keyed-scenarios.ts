import { inspect } from 'node:util'
import { map as rxMap } from 'rxjs'
import { z } from 'zod'
import {
  aggregate,
  count,
  defineOperator,
  flow,
  json,
  keyBy,
  map,
  type Operator,
  type StreamRecord,
  tumbling,
} from '../../src/index.js'
import { eachRecord } from '../../src/testing/index.js'
import { refuses } from './accounted-scenarios.js'
import { inRows } from './accounting.js'
import {
  byUserAndWindow,
  closedVisits,
  copies,
  type Scenario,
  scenario,
  source,
  table,
  timed,
  topic,
  Visit,
  visits,
} from './visits.js'

const several = { members: 4 } as const
const read = json(Visit)
const byUser = <V extends { readonly user: string }>(): Operator<V, V> => keyBy(({ user }) => user)

/** Groups by the key that records were given: it says nothing else. */
const ofKeys = aggregate('windows', {
  window: tumbling('20s'),
  of: count(),
})

/** Keeps the last value of each key, and hands all on as they are: behind a new key they come by an internal topic. */
const remembering = defineOperator({
  name: 'remembering',
  summary: 'Remembers the last value of each key.',
  options: z.strictObject({}),
  stores: () => ['last'],
  build: (_options, context) => {
    const codec = { version: 1, save: (value: unknown) => value, load: (saved: unknown) => saved }
    const store = context.store<unknown>('last', codec)
    return rxMap((record: StreamRecord) => {
      const { topic: from, partition } = record.origin
      const part = store.of(from, partition)
      const key = String(record.key)
      const entry = part.get(0, key) ?? part.add(0, key, undefined)
      entry.value = record.value
      part.touch(entry)
      return record
    })
  },
})
const remembered = <V>() => remembering.declare({}) as Operator<V, V>

/** What JSON and MessagePack have no form of their own for. */
function oddOf({ id, user, at }: Visit) {
  const when = new Date(at)
  const seen = new Map<unknown, unknown>([[user, new Set([id, -0, Number.NaN])]])
  return {
    id,
    user,
    when,
    seen,
    big: BigInt(id) * 10n ** 20n,
    half: '\ud800',
    nothing: undefined,
    bytes: Uint8Array.of(id),
  }
}
const shownOf = (odd: ReturnType<typeof oddOf>) => ({ id: odd.id, shown: inspect(odd) })
const shown = eachRecord<Visit, ReturnType<typeof shownOf>>({
  results: ({ value }) => [shownOf(oddOf(value))],
  idOf: ({ id }) => `visit ${id}`,
})

/** Fewer attempts than there are failures of servers: those do not count. */
const impatient = { attempts: 2 } as const

/** Flows whose records go to another task under a new key, and such as have few attempts. */
export const keyedScenarios: readonly Scenario[] = [
  scenario(
    'windows by the key that was given, exactly once',
    flow(source, read, timed, byUser(), ofKeys, table()),
    byUserAndWindow,
    closedVisits,
    several,
  ),
  scenario(
    'values that JSON does not have, exactly once',
    flow(source, read, map(oddOf), byUser(), remembered(), map(shownOf), table()),
    shown,
    visits,
    several,
  ),
  {
    name: 'refused records behind an internal topic, exactly once',
    flow: flow(source, read, byUser(), remembered(), table<Visit>()),
    options: { input: visits, accounts: inRows, refuses, ...several },
  },
  scenario('copies with few attempts, exactly once', flow(source, read, table()).with(impatient), copies, visits),
  scenario('copies with few attempts, at least once', flow(source, read, topic()).with(impatient), copies, visits),
]
