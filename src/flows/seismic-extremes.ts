import { map } from 'rxjs'
import { defineOperator, type Header, headerOf, type Key, max, type Operator, StreamRecord } from 'weirflow'
import { z } from 'zod'
import type { SeismicEvent, SensorEvents } from './seismic.js'

const names = { time: 'seismic.last-event-time', magnitude: 'seismic.max-magnitude' }

/** What all events of a sensor amount to, those too that its list has forgotten. */
export const extremes = {
  last: max(({ time }: SeismicEvent) => Date.parse(time)),
  strongest: max(({ magnitude }: SeismicEvent) => magnitude),
}

interface Gathered extends Omit<SensorEvents, 'sensorid'> {
  /** ms since the Unix epoch. */
  readonly last: number | undefined
  readonly strongest: number | undefined
}

const definition = defineOperator({
  name: 'sensor',
  summary: 'Makes the list of a sensor; what all its events amount to goes into headers.',
  options: z.strictObject({}),
  build: () =>
    map((record: StreamRecord): StreamRecord => {
      const { key, value } = record.value as { key: Key; value: Gathered }
      const { total, events, last, strongest } = value
      const headers: Header[] = [
        ...(last === undefined ? [] : [{ [names.time]: new Date(last).toISOString() }]),
        ...(strongest === undefined ? [] : [{ [names.magnitude]: String(strongest) }]),
      ]
      const sensor = { sensorid: String(key), total, events }
      const { timestamp, origin, behindMs } = record
      return new StreamRecord(record.key, sensor, timestamp, [...record.headers, ...headers], origin, behindMs)
    }),
})

/**
 * Makes the list of a sensor from what was gathered. Its shape has no room for what all events amount to, so that goes
 * into headers, where `extremesOf` finds it.
 */
export const sensor: Operator<{ readonly key: Key; readonly value: Gathered }, SensorEvents> = definition.declare({})

/** When the last event of a sensor was, and how strong the strongest: of the listed ones alone where no header tells. */
export function extremesOf({ events }: SensorEvents, { headers }: Pick<StreamRecord, 'headers'>) {
  const time = headerOf(headers, names.time)
  const magnitude = headerOf(headers, names.magnitude)
  const last = greatest([...events.map((event) => event.time), ...(time === undefined ? [] : [time])].map(Date.parse))
  const told = magnitude === undefined ? [] : [Number(magnitude)]
  return {
    last: last === null ? null : new Date(last),
    strongest: greatest([...events.map((event) => event.magnitude), ...told]),
  }
}

function greatest(values: readonly number[]): number | null {
  return values
    .filter((value) => !Number.isNaN(value))
    .reduce<number | null>((most, value) => Math.max(most ?? value, value), null)
}
