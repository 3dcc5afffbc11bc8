import {
  branch,
  flow,
  from,
  jsonSchema,
  kafka,
  merge,
  mysql,
  otherwise,
  postgres,
  type Sink,
  type StreamRecord,
  to,
} from 'weirflow'
import { eventsTopic, SeismicEvent, SensorEvents, sensorsTopic } from './seismic.js'
import { extremesOf } from './seismic-extremes.js'

type Recorded = SeismicEvent | SensorEvents

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

/** The types of MySQL's that PostgreSQL has by another name. */
function forPostgres(table: string): string {
  return table
    .replaceAll('varchar(255) character set utf8mb4 collate utf8mb4_bin', 'text')
    .replaceAll('datetime(3)', 'timestamptz')
    .replaceAll(' double', ' double precision')
    .replaceAll(' json', ' jsonb')
}

const isEvent = (value: Recorded): value is SeismicEvent => 'eventid' in value

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

/** Events come from their own topic, because what is gathered for a sensor forgets the oldest. */
const persisted = (group: string, events: Sink<SeismicEvent>, sensors: Sink<Recorded>) =>
  flow(
    merge(
      from(
        kafka.source({ topic: eventsTopic, group: `${group}-events`, partitions: 3, create: true }),
        jsonSchema.decode(SeismicEvent),
      ),
      from(
        kafka.source({ topic: sensorsTopic, group: `${group}-sensors`, partitions: 3, create: true }),
        jsonSchema.decode(SensorEvents),
      ),
    ),
    branch(to('events', isEvent, events), otherwise('sensors', sensors)),
  )

const toEvents = { table: 'seismic_events', mode: 'upsert', key: ['eventid'], row: eventRow } as const
const toSensors = {
  table: 'seismic_sensors',
  mode: 'upsert',
  key: ['sensorid'],
  row: (sensor: Recorded, record: StreamRecord) => sensorRow(sensor as SensorEvents, record),
} as const

/**
 * Keeps what sensors record in MySQL, one row an event and one row a sensor.
 *
 *   seismic-events            ──► seismic_events
 *   seismic-events-aggregated ──► seismic_sensors
 *
 * Rows are written by key, so that what comes twice is one row, and in the transaction that commits the positions.
 */
export const seismicPersist = persisted(
  'seismic-persist',
  mysql.sink({ ...toEvents, create: eventsTable }),
  mysql.sink({ ...toSensors, create: sensorsTable }),
).with({ checkpoints: 'mysql' })

/** The same in PostgreSQL, for who has no MySQL. */
export const seismicPostgres = persisted(
  'seismic-postgres',
  postgres.sink({ ...toEvents, create: forPostgres(eventsTable) }),
  postgres.sink({ ...toSensors, create: forPostgres(sensorsTable) }),
).with({ checkpoints: 'db' })
