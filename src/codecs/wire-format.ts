import { WeirError } from '../model/index.js'

/** The header of Confluent's wire format: a zero byte and the id of the writer's schema, big-endian. */
export const headerBytes = 5
const magic = 0

/** The id of the schema that a value was written with. Errors: WEIR_RECORD_MALFORMED. */
export function schemaIdOf(value: unknown): number {
  if (value === null) throw malformed('the value is null (a tombstone)', 'Filter tombstones out before it.')
  if (!Buffer.isBuffer(value)) throw malformed(`expected bytes, got ${typeof value}`)
  if (value.length < headerBytes) throw malformed(`${value.length} bytes are less than a header`)
  if (value[0] !== magic) {
    const hint = 'Its producer wrote it without the schema registry: see with which serializer.'
    throw malformed(`the first byte is ${value[0]}, not ${magic}`, hint)
  }
  return value.readUInt32BE(1)
}

export function writeHeader(bytes: Buffer, schemaId: number): void {
  bytes[0] = magic
  bytes.writeUInt32BE(schemaId, 1)
}

function malformed(what: string, hint?: string): WeirError {
  const doing = 'reading the id of a schema'
  return new WeirError('WEIR_RECORD_MALFORMED', `${doing}: ${what}`, hint === undefined ? {} : { hint })
}
