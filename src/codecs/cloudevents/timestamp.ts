import { isoReader } from '../../model/index.js'

const shape = /^\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i
const read = isoReader()

/** Whether it is a date and time by RFC 3339: of a day that there is, with its offset. */
export function isTimestamp(text: string): boolean {
  return (isUsual(text) || shape.test(text)) && !Number.isNaN(read(text))
}

/** Whether a text that is a time at all is of this shape: `2018-04-05T17:31:00Z`, with or without ms. The shape takes longer. */
function isUsual(text: string): boolean {
  const { length } = text
  return (
    (length === 20 || (length === 24 && text.charCodeAt(19) === 0x2e)) &&
    text.charCodeAt(10) === 0x54 &&
    text.charCodeAt(length - 1) === 0x5a &&
    !(text.charCodeAt(11) === 0x32 && text.charCodeAt(12) === 0x34)
  )
}
