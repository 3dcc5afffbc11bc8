import { describe, expect, test } from 'vitest'
import {
  aggregate,
  consoleSink,
  count,
  type Flow,
  flow,
  generate,
  http,
  json,
  kafka,
  map,
  memory,
  view,
} from '../../src/index.js'
import { brokers, config, db, faultsOf, orders } from './../support/compiling.js'

const counted = aggregate('counted', { of: count() })
const stateful = flow(orders, json(), counted, consoleSink())
const shown = flow(orders, json(), view({ path: '/x', entries: () => [] }))

/** A configuration that does not say what keeps its checkpoints. */
const unspoken = (declared: Flow, connections = { kafka: brokers, db } as object) => {
  const { checkpoints: _, ...given } = config(declared, { connections: connections as never })
  return given
}

describe('state in memory, of records that do not come again', () => {
  test.each([
    ['of an operator', stateful, "'counted'"],
    ['of a view', shown, "'view'"],
  ])('is refused, and the line, the reason and the mend are told: %s', (_, declared, stage) => {
    const [fault, ...others] = faultsOf(unspoken(declared))
    expect(others).toEqual([])
    expect(fault?.message).toContain(`${stage} keeps its state in memory, and 'kafka.source' reads on where it was`)
    expect(fault?.hint).toContain("checkpoints: 'db'")
    expect(fault?.hint).toContain('checkpoints: memory()')
    expect(fault?.declaredAt).toBeInstanceOf(Error)
  })

  test('may be lost where that is written out', () => {
    expect(faultsOf({ ...unspoken(stateful), checkpoints: memory() })).toEqual([])
    expect(faultsOf(unspoken(stateful.with({ checkpoints: memory() })))).toEqual([])
    expect(faultsOf(unspoken(stateful), { WEIR_CHECKPOINTS: 'memory' })).toEqual([])
    expect(faultsOf(unspoken(stateful), { WEIR_CHECKPOINTS: 'db' })).toEqual([])
  })

  test('is lost with the records on the embedded broker', () => {
    expect(faultsOf(unspoken(stateful, { kafka: kafka({ brokers: 'embedded' }) }))).toEqual([])
  })

  test.each([
    [
      'without state',
      flow(
        orders,
        json(),
        map((value) => value),
        consoleSink(),
      ),
    ],
    ['of records that nobody keeps', flow(generate({ rate: 1, value: () => 1 }), counted, consoleSink())],
    ['of requests', flow(http.post('/x', { body: { '~standard': {} } as never }), counted, consoleSink())],
  ])('is no matter of a flow %s', (_, declared) => {
    expect(faultsOf(unspoken(declared))).toEqual([])
  })
})
