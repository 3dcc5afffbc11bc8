import { aggregate, collect, count, env, flow, jsonSchema, type Key, kafka, map, recordKey } from 'weirflow'
import { eventsTopic, SeismicEvent, SensorEvents, sensorsTopic, valuesOf } from './seismic.js'
import { extremes, sensor } from './seismic-extremes.js'

const group = env('SEISMIC_GROUP_ID').default('seismic-aggregate')
const gathered = env('SEISMIC_KEEP')
  .int()
  .default(1_000)
  .map((max) => ({
    total: count<SeismicEvent>(),
    events: collect((event: SeismicEvent) => event, { max }),
    ...extremes,
  }))

/** Events of a sensor meet because they have one key; of one that has another, nobody could say where they lie. */
function keyed(event: SeismicEvent, { key }: { readonly key: Key }): SeismicEvent {
  if (key?.toString() === event.sensorid) return event
  throw new Error(
    `gathering by sensor: the key of an event of '${event.sensorid}' is ${key === null ? 'null' : `'${String(key)}'`}`,
  )
}

/**
 * Gathers events by sensor: how many there were, and the newest SEISMIC_KEEP of them, newest last.
 *
 *   seismic-events ──► lists of events ──► seismic-events-aggregated
 *
 * A list is written again at the end of each epoch that changed it. The topic is keyed by sensor already, so that each
 * process keeps the sensors of its partitions, and any number of them can share the work. Lists, positions and results
 * commit in one transaction of Kafka, so that a reader of committed records sees each result once.
 */
export const seismicAggregate = flow(
  kafka.source({ topic: eventsTopic, group, partitions: 3, create: true }),
  jsonSchema.decode(SeismicEvent),
  map(keyed, { name: 'keyed', onError: 'dead-letter' }),
  aggregate('by-sensor', { by: recordKey, of: gathered, emit: 'epoch' }),
  sensor,
  jsonSchema.encode(SensorEvents, valuesOf(sensorsTopic)),
  kafka.sink({ topic: sensorsTopic, partitions: 3 }),
).with({ checkpoints: 'kafka', guarantee: 'exactly-once' })
