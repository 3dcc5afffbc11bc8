import { defineSource, env, feed, generate, type Source } from 'weirflow'
import { z } from 'zod'
import { unlimited } from './limit.js'
import { SeismicEvent } from './seismic.js'

const limit = env('SEISMIC_LIMIT').int().default(0).map(unlimited)
const seed = env('SEISMIC_SEED').int().default(1)

/** Stations of the Global Seismographic Network: name, latitude, longitude. */
const stations = [
  ['ANMO', 34.946, -106.457],
  ['ANTO', 39.868, 32.793],
  ['CHTO', 18.814, 98.944],
  ['COLA', 64.874, -147.862],
  ['CTAO', -20.088, 146.255],
  ['GUMO', 13.589, 144.868],
  ['HRV', 42.506, -71.558],
  ['INCN', 37.478, 126.624],
  ['KIP', 21.42, -158.011],
  ['KMBO', -1.127, 37.252],
  ['KONO', 59.649, 9.598],
  ['LVC', -22.613, -68.911],
  ['MAJO', 36.546, 138.204],
  ['NNA', -11.988, -76.842],
  ['PET', 53.023, 158.65],
  ['SNZO', -41.309, 174.704],
  ['TSUM', -19.202, 17.584],
  ['TUC', 32.31, -110.785],
] as const

const round = (value: number, digits: number) => Math.round(value * 10 ** digits) / 10 ** digits

/**
 * Shocks near the stations. Magnitudes follow Gutenberg and Richter: a tenth as many for each step up (b = 1), from 1 to
 * 9. Times are those of a clock that starts with `start` and event 0, so that an event is the same in every run.
 */
export function simulated(startMs: number) {
  return (random: () => number, index: number, afterMs: number): SeismicEvent => {
    const [sensorid, latitude, longitude] = stations[
      Math.floor(random() * stations.length)
    ] as (typeof stations)[number]
    return {
      // Its random part differs by seed, so that two simulators make no event in common.
      eventid: `sim-${index}-${Math.floor(random() * 2 ** 32).toString(36)}`,
      sensorid,
      time: new Date(Math.floor(startMs + afterMs)).toISOString(),
      magnitude: round(1 - Math.log10(1 - random() * (1 - 10 ** -8)), 2),
      depth: round(-15 * Math.log(1 - random()), 1),
      latitude: round(latitude + (random() - 0.5) * 4, 4),
      longitude: round(longitude + (random() - 0.5) * 4, 4),
    }
  }
}

const Feature = z.object({
  id: z.string().min(1),
  properties: z.object({ mag: z.number(), time: z.number(), net: z.string() }),
  geometry: z.object({ coordinates: z.tuple([z.number(), z.number(), z.number()]) }),
})
/** What every feature tells, as far as it is known yet. */
type Feature = z.input<typeof Feature> & {
  readonly properties: { readonly ids?: string | null; readonly updated?: number | null }
}

/** The features of a GeoJSON document of the USGS; those that have no magnitude or place yet are left for later. */
function features(document: unknown): Feature[] {
  const told = z.object({ features: z.array(z.unknown()) }).parse(document).features as Partial<Feature>[]
  return told.filter((feature) => feature?.properties?.mag !== null && feature?.geometry !== null) as Feature[]
}

/** All ids of a shock: which of them is its `id` changes, when another network is found to know better. */
function idsOf({ id, properties: { ids } }: Feature): string[] {
  return [...new Set([id, ...(ids ?? '').split(',')])].filter((each) => each !== '')
}

/** What a feature says of a shock, under the id by which it is known here. */
function shockOf(feature: Feature, eventid: string): SeismicEvent {
  const { properties, geometry } = Feature.parse(feature)
  const [longitude, latitude, depth] = geometry.coordinates
  const time = new Date(properties.time).toISOString()
  const { net: sensorid, mag: magnitude } = properties
  return SeismicEvent.parse({ eventid, sensorid, time, magnitude, depth, latitude, longitude })
}

/** The earthquakes of such a document. */
export function earthquakes(document: unknown): SeismicEvent[] {
  return features(document).map((feature) => shockOf(feature, feature.id))
}

const key = ({ sensorid }: SeismicEvent) => sensorid

const simulator = generate<SeismicEvent>({
  value: env('SEISMIC_START')
    .default('2024-01-01T00:00:00Z')
    .map((start) => simulated(Date.parse(start))),
  rate: env('SEISMIC_RATE').number().default(10),
  arrivals: 'poisson',
  seed: seed,
  count: limit,
  key,
})

/** Shocks are revised, for days: a row of one event id is then written anew. */
export const usgs = feed<Feature, SeismicEvent>({
  url: env('SEISMIC_USGS_URL').default('https://earthquake.usgs.gov/earthquakes/feed/v1.0/summary/all_hour.geojson'),
  items: features,
  id: idsOf,
  time: ({ properties }) => properties.time,
  updated: ({ properties: { updated, time } }) => updated ?? time,
  value: shockOf,
  key,
  count: limit,
})

type Stage = Source<SeismicEvent>
const stage = z.custom<Stage>((value) => typeof value === 'object' && value !== null)

const sensorsDefinition = defineSource({
  name: 'sensors',
  summary: 'Shocks as sensors record them: simulated, or of the USGS.',
  replayable: true,
  positions: 'store',
  options: z.strictObject({
    from: z.enum(['simulator', 'usgs']).describe('Which of the two it is.'),
    simulator: stage.describe('The simulator.'),
    usgs: stage.describe('The feed of the USGS.'),
  }),
  onError: 'skip',
  stores: ({ from, ...sources }, stage) => {
    const { definition, options } = sources[from]
    return definition.stores?.(options, stage) ?? []
  },
  detail: ({ from }) => from,
  build: ({ from, ...sources }, context) => {
    const { definition, options } = sources[from]
    return definition.build(definition.options.parse(options), context)
  },
})

/** Shocks as sensors record them, keyed by sensor: simulated, or with SEISMIC_SOURCE=usgs those of the USGS. */
export const sensors: Source<SeismicEvent> = sensorsDefinition.declare({
  from: env('SEISMIC_SOURCE').default('simulator'),
  simulator,
  usgs,
})
