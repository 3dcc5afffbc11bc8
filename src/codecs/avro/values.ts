import type * as Avsc from 'avsc'
import type { Schema, Type } from 'avsc'
import { messageOf, WeirError } from '../../model/index.js'
import { loadPeer } from '../../model/optional-peer.js'
import { decodeJson } from '../json.js'
import { headerBytes, writeHeader } from '../wire-format.js'
import { boundedCollections } from './collections.js'
import { exactLong } from './longs.js'

interface Decoded {
  readonly value: unknown
  /** Where the value ends; negative when the bytes end before it. */
  readonly offset: number
}

/** An Avro schema as it is written down: a name of a type, an object, or a union. */
export type AvroSchema = string | object

/**
 * Compiles an Avro schema.
 * Errors: WEIR_CONFIG_INVALID when it is none, or avsc is not installed.
 */
export function avroType(schema: AvroSchema): Type {
  const driver = avsc()
  try {
    return compiled(driver, schema as Schema)
  } catch (error) {
    if (error instanceof WeirError) throw error
    throw new WeirError('WEIR_CONFIG_INVALID', `compiling an Avro schema: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Makes the function that reads what was written with one schema as another, or as it is.
 * Errors, of both: WEIR_RECORD_MALFORMED.
 */
export function avroReader(writer: string, reader: Type | undefined): (encoded: Buffer) => unknown {
  const { read, resolver } = resolve(writer, reader)
  return (encoded) => {
    const { value, offset } = attempt(() => read.decode(encoded, headerBytes, resolver) as Decoded)
    if (offset < 0) throw malformed('the bytes end too early')
    if (offset < encoded.length) throw malformed(`${encoded.length - offset} bytes are left over`)
    return value
  }
}

/** Makes the function that writes values, headed by the id of their schema. Errors: WEIR_RECORD_INVALID. */
export function avroWriter(type: Type, schemaId: number): (value: unknown) => Buffer {
  let scratch = Buffer.allocUnsafe(1_024)
  writeHeader(scratch, schemaId)
  const encode = (value: unknown): Buffer => {
    const end = type.encode(value, scratch, headerBytes)
    if (end > 0) return Buffer.from(scratch.subarray(0, end))
    scratch = Buffer.allocUnsafe((scratch.length - end) * 2)
    writeHeader(scratch, schemaId)
    return encode(value)
  }
  return (value) => {
    try {
      return encode(value)
    } catch (error) {
      throw invalid(faultsOf(type, value) || messageOf(error))
    }
  }
}

/** Makes the function that reads plain JSON and holds it to a schema, its defaults filled in. */
export function avroJsonReader(type: Type | undefined): (encoded: unknown) => unknown {
  if (type === undefined) return decodeJson
  return (encoded) => {
    const value = decodeJson(encoded)
    const faults = faultsOf(type, value)
    if (faults !== '') throw invalid(faults)
    return type.clone(value, { coerceBuffers: true }) as unknown
  }
}

/** Makes the function that writes values as plain JSON, when they hold to the schema. */
export function avroJsonWriter(type: Type): (value: unknown) => Buffer {
  return (value) => {
    const faults = faultsOf(type, value)
    if (faults !== '') throw invalid(faults)
    return Buffer.from(JSON.stringify(value))
  }
}

function resolve(writer: string, reader: Type | undefined) {
  return attempt(() => {
    const written = compiled(avsc(), JSON.parse(writer) as Schema)
    if (reader === undefined) return { read: written, resolver: undefined }
    return { read: reader, resolver: reader.createResolver(written) }
  })
}

function compiled(driver: typeof Avsc, schema: Schema): Type {
  const collection = boundedCollections(driver)
  const typeHook = (part: Schema, options: object) => exactLong(driver, part) ?? collection(part, options)
  return driver.Type.forSchema(schema, { typeHook })
}

function attempt<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw malformed(messageOf(error))
  }
}

function faultsOf(type: Type, value: unknown): string {
  const faults: string[] = []
  type.isValid(value, {
    errorHook: (path: string[], _value: unknown, expected: Type) => {
      faults.push(`${path.join('.') || 'the value'}: expected ${expected.name ?? expected.typeName}`)
    },
  })
  return faults.join('; ')
}

function malformed(what: string): WeirError {
  return new WeirError('WEIR_RECORD_MALFORMED', `decoding Avro: ${what}`)
}

function invalid(what: string): WeirError {
  return new WeirError('WEIR_RECORD_INVALID', `validating a record: ${what}`)
}

function avsc(): typeof Avsc {
  return loadPeer<typeof Avsc>('avsc', 'Avro')
}
