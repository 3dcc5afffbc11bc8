import type { SeismicEvent } from '../../src/flows/seismic.js'
import { simulated } from '../../src/flows/seismic-sensors.js'
import { poisson } from '../../src/sources/generate/arrivals.js'
import { randomOf } from '../../src/sources/generate/random.js'
import type { MariadbServer } from '../servers/mariadb-server.js'

/** What `seismic_events` and `seismic_sensors` hold, in the order of their keys. */
export interface SeismicTables {
  readonly events: readonly EventRow[]
  readonly sensors: readonly SensorRow[]
}

type EventRow = Omit<SeismicEvent, 'time'> & { readonly time: Date }

interface SensorRow {
  readonly sensorid: string
  readonly total: number
  readonly last_event_time: Date
  readonly max_magnitude: number
  readonly events: readonly SeismicEvent[]
}

/** The first shocks that the simulator makes at a rate a second, each as it is made whatever happened before. */
export function shocks(count: number, rate: number): SeismicEvent[] {
  const arrivals = poisson(rate, 1)
  const make = simulated(Date.parse('2024-01-01T00:00:00Z'))
  return Array.from({ length: count }, (_, index) => make(randomOf(1, index), index, arrivals.at(index)))
}

/** What the tables have to hold when all of these came, in this order, and lists keep so many. */
export function expectedTables(events: readonly SeismicEvent[], keep: number): SeismicTables {
  const bySensor = new Map<string, SeismicEvent[]>()
  for (const event of events) bySensor.set(event.sensorid, [...(bySensor.get(event.sensorid) ?? []), event])
  const sensors = [...bySensor].map(([sensorid, own]) => ({
    sensorid,
    total: own.length,
    last_event_time: new Date(Math.max(...own.map(({ time }) => Date.parse(time)))),
    max_magnitude: Math.max(...own.map(({ magnitude }) => magnitude)),
    events: own.slice(-keep),
  }))
  const rows = events.map(({ time, ...event }) => ({ ...event, time: new Date(time) }))
  return { events: rows.sort(by('eventid')), sensors: sensors.sort(by('sensorid')) }
}

export async function storedTables(server: MariadbServer): Promise<SeismicTables> {
  const events = await server.query<EventRow>('select * from seismic_events')
  const sensors = await server.query<SensorRow>('select * from seismic_sensors')
  const counted = sensors.map((sensor) => ({ ...sensor, total: Number(sensor.total) }))
  return { events: events.sort(by('eventid')), sensors: counted.sort(by('sensorid')) }
}

/** How many shocks are stored, and how many are gathered; 0 while the server or its tables are not there. */
export async function progressOf(
  server: MariadbServer,
): Promise<{ readonly stored: number; readonly gathered: number }> {
  const numberOf = async (sql: string) => Number((await server.query<{ n: unknown }>(sql).catch(() => []))[0]?.n ?? 0)
  return {
    stored: await numberOf('select count(*) as n from seismic_events'),
    gathered: await numberOf('select sum(total) as n from seismic_sensors'),
  }
}

function by<K extends string>(name: K) {
  return (one: Readonly<Record<K, string>>, other: Readonly<Record<K, string>>) => (one[name] < other[name] ? -1 : 1)
}
