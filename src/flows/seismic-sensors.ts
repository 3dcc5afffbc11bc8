import { defineSource, env, feed, generate, type Source } from 'weirflow'
import { z } from 'zod'
import type { SeismicEvent } from './seismic.js'

const unlimited = (limit: number) => (limit === 0 ? Number.MAX_SAFE_INTEGER : limit)
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
  id: z.string(),
  properties: z.object({ mag: z.number(), time: z.number(), net: z.string() }),
  geometry: z.object({ coordinates: z.tuple([z.number(), z.number(), z.number()]) }),
})

/** The earthquakes of a GeoJSON document of the USGS; those that have no magnitude or place yet are left for later. */
export function earthquakes(document: unknown): SeismicEvent[] {
  const { features } = z.object({ features: z.array(z.unknown()) }).parse(document)
  return features.flatMap((feature) => {
    const parsed = Feature.safeParse(feature)
    if (!parsed.success) return []
    const { id, properties, geometry } = parsed.data
    const [longitude, latitude, depth] = geometry.coordinates
    const time = new Date(properties.time).toISOString()
    return [{ eventid: id, sensorid: properties.net, time, magnitude: properties.mag, depth, latitude, longitude }]
  })
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

const usgs = feed<SeismicEvent>({
  url: env('SEISMIC_USGS_URL').default('https://earthquake.usgs.gov/earthquakes/feed/v1.0/summary/all_hour.geojson'),
  items: earthquakes,
  id: ({ eventid }) => eventid,
  time: ({ time }) => Date.parse(time),
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
