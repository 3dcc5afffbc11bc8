import { flow, jsonSchema, kafka } from 'weirflow'
import { eventsTopic, SeismicEvent, valuesOf } from './seismic.js'
import { sensors } from './seismic-sensors.js'

/**
 * Puts what sensors record on a topic, keyed by sensor.
 *
 *   simulator, or USGS ──► seismic-events
 *
 * SEISMIC_RATE shocks a second are simulated, SEISMIC_LIMIT of them (0: without end), the same ones in every run.
 */
export const seismicProducer = flow(
  sensors,
  jsonSchema.encode(SeismicEvent, valuesOf(eventsTopic)),
  kafka.sink({ topic: eventsTopic, partitions: 3 }),
)
