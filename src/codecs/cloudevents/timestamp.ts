import { isoReader } from '../../model/index.js'

const shape = /^\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i
const read = isoReader()

/** Whether it is a date and time by RFC 3339: of a day that there is, with its offset. */
export function isTimestamp(text: string): boolean {
  return shape.test(text) && !Number.isNaN(read(text))
}
