import { expect, test } from 'vitest'
import type { SeismicEvent, SensorEvents } from '../../src/flows/seismic.js'
import { seismicPersist } from '../../src/flows/seismic-persist.js'
import { simulated } from '../../src/flows/seismic-sensors.js'
import { type Flow, type Header, type Sink, schemaRegistry } from '../../src/index.js'
import { randomOf } from '../../src/sources/generate/random.js'
import { marbles } from '../../src/testing/index.js'

const shock = (index: number) => simulated(0)(randomOf(1, index), index, index * 100)
const [a, b, c] = [shock(0), shock(1), shock(2)]
const sensor: SensorEvents = { sensorid: a.sensorid, total: 7, events: [c, a] }
const connections = { registry: schemaRegistry({ url: '' }) }

/** What a sink would write. */
function rowOf(
  declared: Flow,
  table: string,
  value: unknown,
  headers: readonly Header[] = [],
): Record<string, unknown> {
  const { end } = declared
  const sinks = 'branches' in end ? end.branches.map((branch) => branch.end as Sink<never>) : []
  const options = sinks.map(
    (sink) => sink.options as { table: string; row: (value: unknown, record: unknown) => object },
  )
  return options.find((each) => each.table === table)?.row(value, { headers }) as Record<string, unknown>
}

test(
  'events and sensors go each to their own table',
  marbles(({ flow: run }) => {
    const running = run(seismicPersist, { connections })
    running.source('ab---', { a, b })
    running.source('---s-', { s: sensor }, { source: 1 })
    running.sink('  ab---', { a, b }, 'mysql.sink')
    running.sink('  ---s-', { s: sensor }, 'mysql.sink-2')
  }),
)

test(
  'what is no event goes to the dead letters, and the rest flows on',
  marbles(({ flow: run }) => {
    const running = run(seismicPersist, { connections })
    running.source('     aXYb', { a, b, X: { ...a, magnitude: 'strong' }, Y: Buffer.from([0, 0, 0, 0, 1]) })
    running.sink('       a--b', { a, b })
    running.deadLetters('-XY-', { X: 'WEIR_RECORD_INVALID', Y: 'WEIR_RECORD_MALFORMED' })
  }),
)

test('a row of an event has its columns', () => {
  expect(rowOf(seismicPersist, 'seismic_events', a)).toEqual({ ...a, time: new Date(a.time) })
})

test('a row of a sensor sums up what it keeps, in whatever order it came', () => {
  expect(rowOf(seismicPersist, 'seismic_sensors', sensor)).toEqual({
    sensorid: a.sensorid,
    total: 7,
    last_event_time: new Date(c.time),
    max_magnitude: Math.max(a.magnitude, c.magnitude),
    events: JSON.stringify([c, a]),
  })
  const none: { events: SeismicEvent[] } = { ...sensor, events: [] }
  expect(rowOf(seismicPersist, 'seismic_sensors', none)).toMatchObject({ last_event_time: null, max_magnitude: null })
})

test('a row of a sensor sums up what its list has forgotten, where the headers tell', () => {
  const headers = [{ 'seismic.last-event-time': '2030-01-01T00:00:00.000Z' }, { 'seismic.max-magnitude': '9.5' }]
  expect(rowOf(seismicPersist, 'seismic_sensors', sensor, headers)).toMatchObject({
    last_event_time: new Date('2030-01-01T00:00:00.000Z'),
    max_magnitude: 9.5,
  })
})
