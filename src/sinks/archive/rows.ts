import type { ArchiveRow } from '../../codecs/archive/file-format.js'
import { jsonOf, type StreamRecord, UnencodableError } from '../../model/index.js'

/** What is taken of an event, as `cloudEvents.decode` gives it. */
interface Event {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject?: string
  readonly time?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  readonly extensions?: ArchiveRow['extensions']
  readonly data?: unknown
}

/**
 * The row of a record: of an event, and of where Kafka has it, which is where it was read and not what stages have made of it.
 * Data is kept as it came where it was decoded as `raw`; else what was JSON is written as JSON again.
 * Errors: `UnencodableError` when it is no event.
 */
export function rowOf({ value, origin: read }: StreamRecord): ArchiveRow {
  if (!isEvent(value)) throw new UnencodableError(new TypeError('it is no CloudEvent: put cloudEvents.decode before'))
  const { id, source, type, subject, time, datacontenttype, dataschema, extensions, data } = value
  const { topic, partition, offset, timestamp, key, headers } = read.from ?? read
  const isBytes = data instanceof Uint8Array
  return {
    id,
    source,
    type,
    subject,
    time,
    datacontenttype,
    dataschema,
    extensions,
    data: data === undefined || isBytes ? undefined : typeof data === 'string' ? data : jsonOf(data),
    dataBytes: isBytes ? data : undefined,
    topic,
    partition,
    offset,
    timestamp,
    key,
    headers,
  }
}

function isEvent(value: unknown): value is Event {
  if (typeof value !== 'object' || value === null) return false
  const { id, source, type } = value as Partial<Event>
  return typeof id === 'string' && typeof source === 'string' && typeof type === 'string'
}

/** Of how many schemas the version is remembered. */
const mostKnown = 8

/** Makes the function that tells the version of an event's schema. A stream has few, and to find one takes a microsecond. */
export function versionReader(): (event: { readonly dataschema?: string | undefined }) => string {
  const known = new Map<string, string>()
  return ({ dataschema }) => {
    if (dataschema === undefined) return 'v1'
    let version = known.get(dataschema)
    if (version === undefined) {
      if (known.size === mostKnown) known.clear()
      known.set(dataschema, (version = versionOf(dataschema)))
    }
    return version
  }
}

/** `v2` of `https://example.com/order/v2.json`: the last part of a schema's address that is a version. */
function versionOf(dataschema: string): string {
  const found = [...dataschema.matchAll(/(?:^|[/._:-])(v\d+(?:\.\d+)*)(?=$|[/?#:_-]|\.[a-z]+$)/gi)].at(-1)?.[1]
  return found?.toLowerCase() ?? 'v1'
}
