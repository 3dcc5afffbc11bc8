import { flow, jsonSchema, kafka } from 'weirflow'
import { eventsTopic, SeismicEvent, valuesOf } from './seismic.js'
import { sensors } from './seismic-sensors.js'

/**
 * Puts what sensors record on a topic, keyed by sensor.
 *
 *   simulator, or USGS ──► seismic-events
 *
 * SEISMIC_RATE shocks a second are simulated, SEISMIC_LIMIT of them (0: without end), the same ones in every run. What
 * was sent is committed with the shocks themselves, in one transaction of Kafka, so that a process that starts again goes
 * on with the next one. Run one process of it: two would fence each other off.
 */
export const seismicProducer = flow(
  sensors,
  jsonSchema.encode(SeismicEvent, valuesOf(eventsTopic)),
  kafka.sink({ topic: eventsTopic, partitions: 3 }),
).with({
  checkpoints: 'kafka',
  guarantee: 'exactly-once',
  // The feed remembers what came; the simulator has no such store, and leaves it for when the feed is back.
  givesUp: ['sensors'],
})
