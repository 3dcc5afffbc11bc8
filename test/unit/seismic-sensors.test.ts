import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SeismicEvent } from '../../src/flows/seismic.js'
import { earthquakes, sensors, simulated, usgs } from '../../src/flows/seismic-sensors.js'
import { compile, defineConfig, type FeedOptions, flow } from '../../src/index.js'
import { consoleSink } from '../../src/sinks/console.js'
import { KnownItems, knownCodec } from '../../src/sources/feed/known-items.js'
import { randomOf } from '../../src/sources/generate/random.js'
import { TaskStores } from '../../src/state/index.js'

const start = Date.parse('2024-01-01T00:00:00Z')
const shock = simulated(start)
const shocks = Array.from({ length: 20_000 }, (_, index) => shock(randomOf(1, index), index, index * 100))

test('simulated shocks hold to the schema, and are known by ids of their own', () => {
  for (const each of shocks.slice(0, 1_000)) expect(SeismicEvent.safeParse(each).error).toBeUndefined()
  expect(new Set(shocks.map(({ eventid }) => eventid)).size).toBe(shocks.length)
  expect(shocks[10]?.time).toBe('2024-01-01T00:00:01.000Z')
})

test('a shock depends on seed and index alone; another seed makes others', () => {
  expect(shock(randomOf(1, 7), 7, 700)).toEqual(shocks[7])
  const other = shock(randomOf(2, 7), 7, 700)
  expect(other.eventid).not.toBe(shocks[7]?.eventid)
})

test('there are a tenth as many shocks for each step of magnitude', () => {
  const above = (magnitude: number) => shocks.filter((each) => each.magnitude >= magnitude).length
  expect(above(1)).toBe(shocks.length)
  expect(above(2) / above(1)).toBeCloseTo(0.1, 1)
  expect(above(3) / above(2)).toBeGreaterThan(0.06)
  expect(above(3) / above(2)).toBeLessThan(0.14)
  expect(Math.max(...shocks.map(({ magnitude }) => magnitude))).toBeLessThanOrEqual(9)
})

test('every station records, near where it stands', () => {
  const sensorids = [...new Set(shocks.map(({ sensorid }) => sensorid))]
  expect(sensorids).toHaveLength(18)
  for (const id of sensorids) {
    const latitudes = shocks.filter(({ sensorid }) => sensorid === id).map(({ latitude }) => latitude)
    expect(latitudes.length).toBeGreaterThan(900)
    expect(Math.max(...latitudes) - Math.min(...latitudes)).toBeLessThanOrEqual(4.001)
  }
})

test.each([
  [{}, 'simulator'],
  [{ SEISMIC_SOURCE: 'usgs' }, 'usgs'],
])('the environment %j asks for the %s', (environment, expected) => {
  const { flows } = compile(defineConfig({ flows: { shocks: flow(sensors, consoleSink()) } }), { environment })
  expect(flows[0]?.parts[0]?.inputs[0]?.source.options).toMatchObject({ from: expected })
})

test('a source that there is not is a fault of the configuration', () => {
  const config = defineConfig({ flows: { shocks: flow(sensors, consoleSink()) } })
  expect(() => compile(config, { environment: { SEISMIC_SOURCE: 'moon' } })).toThrow("option 'from'")
})

const feature = (id: string, mag: number | null) => ({
  type: 'Feature',
  id,
  properties: { mag, time: 1_680_888_012_380, net: 'ak', place: 'Alaska' },
  geometry: { type: 'Point', coordinates: [-149.0596, 64.7564, 17.7] },
})

test('reads GeoJSON of the USGS, and leaves out what has no magnitude yet', () => {
  expect(earthquakes({ features: [feature('ak1', 0.7), feature('ak2', null)] })).toEqual([
    {
      eventid: 'ak1',
      sensorid: 'ak',
      time: '2023-04-07T17:20:12.380Z',
      magnitude: 0.7,
      depth: 17.7,
      latitude: 64.7564,
      longitude: -149.0596,
    },
  ])
  expect(() => earthquakes({ error: 'gone' })).toThrow('features')
})

const recorded = new URL('../../../shared/data/usgs/all_week-2023-04-07.cut500.features.ndjson', import.meta.url)

test.skipIf(!existsSync(recorded))('reads a recorded catalogue', () => {
  const features = readFileSync(recorded, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  const events = earthquakes({ features })
  expect(events.length).toBeGreaterThan(490)
  for (const event of events) expect(SeismicEvent.safeParse(event).error).toBeUndefined()
})

test.skipIf(!existsSync(recorded))(
  'a recorded shock is itself under another id, and comes again when it is revised',
  () => {
    interface Recorded {
      id: string
      properties: { ids: string; updated: number; mag: number | null }
    }
    const { items, id, updated, value } = usgs.options as FeedOptions<Recorded, SeismicEvent>
    const partition = { topic: 'feed:usgs', partition: 0 }
    const stores = new TaskStores()
    const known = new KnownItems(stores.declare('usgs', knownCodec), partition)
    stores.assign({ ...partition, generation: 1, sequence: 0 })
    const emitted = new Map<string, SeismicEvent[]>()
    const take = (document: unknown) => {
      for (const item of items(document)) {
        const identity = { ids: id(item) as readonly string[], updated: updated?.(item) }
        const first = known.takeNew(identity)
        if (first === undefined) continue
        known.settle(identity, first)
        emitted.set(first, [...(emitted.get(first) ?? []), value?.(item, first) as SeismicEvent])
      }
    }
    const lines = readFileSync(recorded, 'utf8').trim().split('\n')
    const features = lines.map((line) => JSON.parse(line) as Recorded)
    take({ features })
    const shocks = emitted.size
    const several = features.find(({ id: own, properties: { ids } }) =>
      ids
        .split(',')
        .filter(Boolean)
        .some((each) => each !== own),
    ) as Recorded
    const [other = ''] = several.properties.ids.split(',').filter((each) => each !== '' && each !== several.id)
    const properties = { ...several.properties, mag: 9, updated: several.properties.updated + 1 }
    take({ features: [...features, { ...several, id: other, properties }] })
    expect(emitted.size).toBe(shocks)
    expect(emitted.get(several.id)).toMatchObject([{ eventid: several.id }, { eventid: several.id, magnitude: 9 }])
  },
)
