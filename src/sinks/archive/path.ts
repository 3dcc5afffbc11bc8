import { createHash } from 'node:crypto'

/** What the name of a file tells. `topic` and `version` are as `segment` makes them. */
export interface FilePlace {
  readonly topic: string
  readonly version: string
  /** UTC, ms since the Unix epoch: of its first record. */
  readonly time: number
  readonly partition: number
  readonly first: number
  readonly records: number
  /** `parquet`, `avro`. */
  readonly extension: string
}

const dayMs = 86_400_000
/** Most file systems take no longer name. */
const longestBytes = 255

/** `topic/v1/dt=2025-12-21/pid=0/20251221T101500123Z_offset42_count1000.parquet` */
export function pathOf(place: FilePlace): string {
  const { topic, version, time, partition, first, records, extension } = place
  const name = `${compact(time)}_offset${first}_count${records}.${extension}`
  return `${topic}/${version}/dt=${dayOf(time)}/pid=${partition}/${name}`
}

const shape = /^([^/]+)\/([^/]+)\/dt=([^/]+)\/pid=(\d+)\/(\d{8}T\d{9}Z)_offset(\d+)_count(\d+)\.([a-z]+)$/

/** Reads back what a name tells; undefined when it is none that `pathOf` makes. */
export function placeOf(path: string): FilePlace | undefined {
  const [, topic = '', version = '', , partition, text = '', first, records, extension = ''] = shape.exec(path) ?? []
  const time = Date.parse(text.replace(/^(....)(..)(..T..)(..)(..)(...Z)$/, '$1-$2-$3:$4:$5.$6'))
  if (partition === undefined || Number.isNaN(time)) return undefined
  return {
    topic,
    version,
    time,
    partition: Number(partition),
    first: Number(first),
    records: Number(records),
    extension,
  }
}

/** Makes the function that names the folder of a version and a day: in a row of records it is mostly the same. */
export function folderNamer(): (version: string, time: number) => string {
  let last = { version: '', day: Number.NaN, folder: '' }
  return (version, time) => {
    const day = Math.floor(time / dayMs)
    if (version !== last.version || day !== last.day)
      last = { version, day, folder: `${segment(version)}/${dayOf(time)}` }
    return last.folder
  }
}

/** The day of a time, UTC. */
function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

function compact(time: number): string {
  return new Date(time).toISOString().replace(/[-:.]/g, '')
}

/**
 * A text as one segment of a path: what it may say comes from records, and must not lead anywhere else. What is escaped is
 * so as in URLs; what is too long is cut, and ends in a digest that tells it from others.
 */
export function segment(text: string): string {
  const escaped = encodeURIComponent(text.toWellFormed()).replace(/[!'()*~]|^\.|\.$/g, hex)
  if (escaped === '') return '%'
  if (escaped.length <= longestBytes) return escaped
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return `${escaped.slice(0, longestBytes - 1 - digest.length).replace(/%.?$/, '')}-${digest}`
}

function hex(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
