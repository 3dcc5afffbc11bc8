import { expect, test } from 'vitest'
import type { SeismicEvent } from '../../src/flows/seismic.js'
import { seismicAggregate } from '../../src/flows/seismic-aggregate.js'
import { simulated } from '../../src/flows/seismic-sensors.js'
import { schemaRegistry } from '../../src/index.js'
import { randomOf } from '../../src/sources/generate/random.js'
import { at, type FlowRun, marbles } from '../../src/testing/index.js'

const shock = (sensorid: string, index: number): SeismicEvent => ({
  ...simulated(0)(randomOf(1, index), index, index * 100),
  sensorid,
})
const [a, b, c, d] = [shock('ANMO', 0), shock('PET', 1), shock('ANMO', 2), shock('ANMO', 3)]
const keyed = (event: SeismicEvent) => at(event, { key: event.sensorid, partition: event.sensorid === 'PET' ? 1 : 0 })
const source = { a: keyed(a), b: keyed(b), c: keyed(c), d: keyed(d) }
const gathered = (sensorid: string, total: number, events: readonly SeismicEvent[]) =>
  Buffer.from(JSON.stringify({ sensorid, total, events }))

const connections = { registry: schemaRegistry({ url: '' }) }
const epoch = { maxRecords: 100, everyMs: 4 }

test(
  'events are gathered by sensor, newest last, each list once an epoch',
  marbles(({ flow }) => {
    const run: FlowRun = flow(seismicAggregate, { connections, epoch })
    run.source('abc--d---', source)
    run.sink('  ----(xy)z', {
      x: gathered('PET', 1, [b]),
      y: gathered('ANMO', 2, [a, c]),
      z: gathered('ANMO', 3, [a, c, d]),
    })
    run.finally(() => expect(run.virtual.written.map(({ record }) => record.key)).toEqual(['PET', 'ANMO', 'ANMO']))
  }),
)

test(
  'the newest SEISMIC_KEEP are kept, and all are counted',
  marbles(({ flow }) => {
    const run = flow(seismicAggregate, { connections, epoch, environment: { SEISMIC_KEEP: '2' } })
    run.source('acd--', source)
    run.sink('  ----x', { x: gathered('ANMO', 3, [c, d]) })
    run.finally(() => {
      const headers = run.virtual.written.flatMap(({ record }) => record.headers)
      expect(headers).toEqual([
        { 'seismic.last-event-time': d.time },
        { 'seismic.max-magnitude': String(Math.max(a.magnitude, c.magnitude, d.magnitude)) },
      ])
    })
  }),
)

test(
  'lists live through a crash, exactly',
  marbles(({ flow }) => {
    const run = flow(seismicAggregate, { connections, epoch })
    run.source('a----cd---', source)
    run.crash(' ------x---')
    run.sink('  ----x-----y', {
      x: gathered('ANMO', 1, [a]),
      y: gathered('ANMO', 3, [a, c, d]),
    })
  }),
)

test(
  'an event of another key than its sensor goes to the dead letters',
  marbles(({ flow }) => {
    const run = flow(seismicAggregate, { connections, epoch })
    run.source('     aXY--', { ...source, X: at(a, { key: 'PET' }), Y: a })
    run.deadLetters('-XY--', { X: 'WEIR_STAGE_FAILED', Y: 'WEIR_STAGE_FAILED' })
    run.sink('       ----x', { x: gathered('ANMO', 1, [a]) })
  }),
)
