import { env, time } from 'weirflow'
import { z } from 'zod'

const name = z.string().min(1).max(256)

/** One shock as one sensor recorded it. */
export const SeismicEvent = z.strictObject({
  eventid: name,
  sensorid: name,
  time: time().max(64).describe('ISO 8601'),
  magnitude: z.number(),
  depth: z.number().describe('km'),
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
})

export type SeismicEvent = z.infer<typeof SeismicEvent>

/** What a sensor has recorded: how much in all, and the newest of it. */
export const SensorEvents = z.strictObject({
  sensorid: name,
  total: z.int().min(0),
  events: z.array(SeismicEvent).describe('newest last'),
})

export type SensorEvents = z.infer<typeof SensorEvents>

export const eventsTopic = env('SEISMIC_TOPIC').default('seismic-events')
export const sensorsTopic = env('SEISMIC_AGGREGATED_TOPIC').default('seismic-events-aggregated')

/** What the schema of a topic's values is registered under. */
export const valuesOf = (topic: typeof eventsTopic) => ({ subject: topic.map((name) => `${name}-value`) })
