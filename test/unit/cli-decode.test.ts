import { of, throwError } from 'rxjs'
import { expect, test } from 'vitest'
import { decoded } from '../../src/cli/decode.js'
import { avroType, avroWriter } from '../../src/codecs/avro/values.js'
import type { SchemaRegistry } from '../../src/codecs/schema-registry.js'
import { headerBytes, writeHeader } from '../../src/codecs/wire-format.js'
import { WeirError } from '../../src/model/index.js'

const order = { type: 'record', name: 'Order', fields: [{ name: 'amount', type: 'long' }] }
const schemas = new Map([
  [1, { type: 'AVRO', schema: JSON.stringify(order) }],
  [2, { type: 'JSON', schema: '{}' }],
  [3, { type: 'PROTOBUF', schema: 'message' }],
])
const registry = {
  schema: (id: number) => {
    const found = schemas.get(id)
    const unknown = new WeirError('WEIR_RECORD_MALFORMED', `reading schema ${id}: the registry has none of that id`)
    return found === undefined ? throwError(() => unknown) : of(found)
  },
} as Pick<SchemaRegistry, 'schema'> as SchemaRegistry

const headed = (id: number, text: string) => {
  const bytes = Buffer.alloc(headerBytes + text.length)
  writeHeader(bytes, id)
  bytes.write(text, headerBytes)
  return bytes
}

test.each([
  [null, 'null', 'null'],
  [Buffer.from('{"a":[1]}'), 'JSON', '{\n  "a": [\n    1\n  ]\n}'],
  // Indented it would be another number.
  [Buffer.from('{"a":12345678901234567890}'), 'JSON', '{"a":12345678901234567890}'],
  [Buffer.from('{"a":'), 'text', '{"a":'],
  [Buffer.from(''), 'text', ''],
  [Buffer.from([255, 65]), 'bytes', '00000000  ff 41                                            .A'],
])('%s is shown as it is read', async (value, format, text) => {
  expect(await decoded(value, undefined)).toEqual({ format, text })
})

test('what was written with a schema of the registry is read by it', async () => {
  const encoded = avroWriter(avroType(order), 1)({ amount: 12 })
  expect(await decoded(encoded, registry)).toEqual({ format: 'Avro', text: '{\n  "amount": 12\n}' })
  expect(await decoded(headed(2, '{"a":1}'), registry)).toEqual({ format: 'JSON', text: '{\n  "a": 1\n}' })
})

test.each([
  [headed(1, ''), registry, /^schema 1: decoding Avro/],
  [headed(3, 'x'), registry, /^schema 3: it is of type PROTOBUF/],
  [headed(4, 'x'), registry, /^schema 4: .*the registry has none of that id/],
  [headed(1, 'x'), undefined, /^schema 1: name its registry/],
])('what can not be read is shown as bytes, with the reason', async (value, asked, note) => {
  const shown = await decoded(value, asked)
  expect(shown).toMatchObject({ format: 'bytes', note: expect.stringMatching(note) })
  expect(shown.text).toMatch(/^00000000 {2}00 00 00 00/)
})
