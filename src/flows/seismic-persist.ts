import { branch, flow, from, jsonSchema, kafka, merge, mysql, otherwise, type StreamRecord, to } from 'weirflow'
import { eventsTopic, SeismicEvent, SensorEvents, sensorsTopic } from './seismic.js'
import { extremesOf } from './seismic-extremes.js'

const eventsTable = `
  create table if not exists seismic_events (
    eventid varchar(255) character set utf8mb4 collate utf8mb4_bin primary key,
    sensorid varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
    time datetime(3) not null,
    magnitude double not null,
    depth double not null,
    latitude double not null,
    longitude double not null
  )`

const sensorsTable = `
  create table if not exists seismic_sensors (
    sensorid varchar(255) character set utf8mb4 collate utf8mb4_bin primary key,
    total bigint not null,
    last_event_time datetime(3),
    max_magnitude double,
    events json not null
  )`

const isEvent = (value: SeismicEvent | SensorEvents): value is SeismicEvent => 'eventid' in value

const eventRow = ({ time, ...event }: SeismicEvent) => ({ ...event, time: new Date(time) })

const sensorRow = (sensor: SensorEvents, record: StreamRecord) => {
  const { last, strongest } = extremesOf(sensor, record)
  return {
    sensorid: sensor.sensorid,
    total: sensor.total,
    last_event_time: last,
    max_magnitude: strongest,
    events: JSON.stringify(sensor.events),
  }
}

/**
 * Keeps what sensors record in MySQL, one row an event and one row a sensor.
 *
 *   seismic-events            ──► seismic_events
 *   seismic-events-aggregated ──► seismic_sensors
 *
 * Events come from their own topic, because what is gathered for a sensor forgets the oldest. Rows are written by key,
 * so that what comes twice is one row, and in the transaction that commits the positions.
 */
export const seismicPersist = flow(
  merge(
    from(
      kafka.source({ topic: eventsTopic, group: 'seismic-persist-events', partitions: 3, create: true }),
      jsonSchema.decode(SeismicEvent),
    ),
    from(
      kafka.source({ topic: sensorsTopic, group: 'seismic-persist-sensors', partitions: 3, create: true }),
      jsonSchema.decode(SensorEvents),
    ),
  ),
  branch(
    to(
      'events',
      isEvent,
      mysql.sink({ table: 'seismic_events', create: eventsTable, mode: 'upsert', key: ['eventid'], row: eventRow }),
    ),
    otherwise(
      'sensors',
      mysql.sink({
        table: 'seismic_sensors',
        create: sensorsTable,
        mode: 'upsert',
        key: ['sensorid'],
        row: (sensor: SeismicEvent | SensorEvents, record) => sensorRow(sensor as SensorEvents, record),
      }),
    ),
  ),
).with({ checkpoints: 'mysql' })
