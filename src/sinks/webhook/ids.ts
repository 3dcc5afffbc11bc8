import { createHash } from 'node:crypto'
import { jsonOf, place, type SinkContext, type StreamRecord, storeKeyOf, UnencodableError } from '../../model/index.js'

type IdOf = (value: never, record: StreamRecord) => string

/** What a header takes, without the full stop: what is signed is parted by that. */
const plain = /^[\w:@#/+=~-]{1,128}$/

/** What requests are known by. One object serves an epoch: when that is read again, the same ids come again. */
export class Ids {
  private readonly made = new Map<string, number>()

  constructor(
    private readonly context: Pick<SinkContext, 'app' | 'flow' | 'stage'>,
    private readonly idOf: IdOf | undefined,
  ) {}

  /** Ask in the order in which records come. Errors: what `id` throws, and `UnencodableError` when it gives no text. */
  of(record: StreamRecord): string {
    if (this.idOf !== undefined) return given(this.idOf(record.value as never, record))
    const { app, flow, stage } = this.context
    const at = placeOf(record)
    const before = this.made.get(at) ?? 0
    this.made.set(at, before + 1)
    return digest([app, flow, stage, at, before])
  }
}

/** What was made of many records has the place of none, and is known by what it is: another epoch makes others. */
function placeOf({ origin, timestamp, key, value }: StreamRecord): string {
  const at = place(origin)
  return origin.offset >= 0 ? at : digest([at, timestamp, storeKeyOf(key), textOf(value)])
}

function textOf(value: unknown): string | undefined {
  try {
    return jsonOf(value)
  } catch {
    // Whether that can be posted is for `body` to say.
    return undefined
  }
}

/** The id of all that goes in one request. */
export function idOfAll(ids: readonly string[]): string {
  return ids.length === 1 ? (ids[0] as string) : digest(ids)
}

/** Text that no header takes is replaced by one that is as good. */
function given(id: unknown): string {
  if (typeof id !== 'string' || id === '')
    throw new UnencodableError(new TypeError(`\`id\` made no text, but ${typeof id}`))
  return plain.test(id) ? id : digest([id])
}

function digest(parts: readonly unknown[]): string {
  return `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 32)}`
}
