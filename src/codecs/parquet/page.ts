import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { serializeTCompactProtocol } from 'hyparquet-writer/src/thrift.js'

/** Numbers as the format has them. */
export const encodings = { plain: 0, levels: 3, dictionary: 8 } as const
export const pageTypes = { data: 0, dictionary: 2 } as const

export interface Page {
  readonly header: {
    readonly type: (typeof pageTypes)[keyof typeof pageTypes]
    readonly encoding: (typeof encodings)['plain' | 'dictionary']
    readonly fields: object
  }
  readonly rawSize: number
  readonly body: Promise<Uint8Array>
}

/** A page of the format's first version, which every reader knows. */
export function dataPage(count: number, encoding: Page['header']['encoding']): Page['header'] {
  const { levels } = encodings
  const fields = { field_5: { field_1: count, field_2: encoding, field_3: levels, field_4: levels } }
  return { type: pageTypes.data, encoding, fields }
}

export function dictionaryPage(count: number): Page['header'] {
  const { plain } = encodings
  return { type: pageTypes.dictionary, encoding: plain, fields: { field_7: { field_1: count, field_2: plain } } }
}

/** The header that stands before the body of a page. */
export function headerOf({ header, rawSize }: Page, size: number): Uint8Array {
  const writer = new ByteWriter()
  serializeTCompactProtocol(writer, { field_1: header.type, field_2: rawSize, field_3: size, ...header.fields })
  return writer.getBytes()
}
