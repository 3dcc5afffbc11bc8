import type { ColumnMetaData, SchemaElement } from 'hyparquet'
import { parquetHeader } from 'hyparquet/src/column.js'
import { readDataPage } from 'hyparquet/src/datapage.js'
import { readPlain } from 'hyparquet/src/plain.js'
import { getSchemaPath } from 'hyparquet/src/schema.js'
import type { Decompress } from '../../compression/index.js'
import type { Leaf } from './schema.js'

/** What has to be known of a column to read its pages. */
type ColumnDecoder = Parameters<typeof readDataPage>[2]

/** What a value is in a file; undefined where it is missing, of one in a list null. */
export type Value = Uint8Array | number | bigint | null | undefined

type Values = ArrayLike<Uint8Array | number | bigint>

/**
 * The values of one column in one row group, page by page, so that no more of them are in memory than are asked for. A value
 * in a list comes as all those of its row.
 */
export class ColumnReader {
  private cells: (Value | readonly Value[])[] = []
  private at = 0
  private dictionary: Values | undefined
  private readonly reader: { readonly view: DataView; offset: number }
  private readonly decoder: ColumnDecoder

  /** @param bytes The pages of the column, one behind the other. */
  constructor(
    private readonly leaf: Leaf,
    private readonly bytes: Buffer,
    { type, codec }: Pick<ColumnMetaData, 'type' | 'codec'>,
    schema: SchemaElement[],
    private readonly decompress: Decompress,
  ) {
    this.reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
    const schemaPath = getSchemaPath(schema, [...leaf.path])
    const element = schemaPath.at(-1)?.element as SchemaElement
    this.decoder = { type, codec, element, schemaPath } as unknown as ColumnDecoder
  }

  /** Reads pages until there are the cells of so many rows. */
  async fill(rows: number): Promise<void> {
    this.cells = this.cells.slice(this.at)
    this.at = 0
    while (this.cells.length < rows) {
      if (this.reader.offset >= this.bytes.length) throw new Error(`column ${this.leaf.path.join('.')} ends too early`)
      await this.readPage()
    }
  }

  /** The cell of the next row. */
  next(): Value | readonly Value[] {
    return this.cells[this.at++]
  }

  private async readPage(): Promise<void> {
    const { reader, bytes, decoder } = this
    const { type, compressed_page_size, uncompressed_page_size, data_page_header, dictionary_page_header } =
      parquetHeader(reader)
    const start = reader.offset
    reader.offset += compressed_page_size
    const page = await this.decompress(bytes.subarray(start, reader.offset))
    if (page.length !== uncompressed_page_size)
      throw new Error(`a page has ${page.length} bytes in place of ${uncompressed_page_size}`)
    if (type === 'DICTIONARY_PAGE' && dictionary_page_header !== undefined) {
      const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
      this.dictionary = readPlain({ view, offset: 0 }, decoder.type, dictionary_page_header.num_values, undefined)
    } else if (type === 'DATA_PAGE' && data_page_header !== undefined) {
      const { definitionLevels, repetitionLevels, dataPage } = readDataPage(page, data_page_header, decoder)
      const values = data_page_header.encoding === 'PLAIN' ? dataPage : this.found(dataPage as ArrayLike<number>)
      const levels = definitionLevels ?? []
      const count = data_page_header.num_values
      if (this.leaf.maxRepetition === 0) this.flat(levels, values as Values, count)
      else this.lists(levels, repetitionLevels, values as Values)
    } else {
      throw new Error(`a page is of the kind ${type}`)
    }
  }

  private found(indexes: ArrayLike<number>): Values {
    const { dictionary } = this
    if (dictionary === undefined) throw new Error('a page goes by a dictionary that is not there')
    return Array.from(indexes, (index) => dictionary[index] as Uint8Array)
  }

  /** No levels are told of a page in which nothing is missing. */
  private flat(levels: readonly number[], values: Values, count: number): void {
    let value = 0
    for (let index = 0; index < count; index++) {
      const isThere = levels.length === 0 || levels[index] === this.leaf.maxDefinition
      this.cells.push(isThere ? values[value++] : undefined)
    }
  }

  private lists(levels: readonly number[], repetitions: readonly number[], values: Values): void {
    const { maxDefinition } = this.leaf
    let value = 0
    let list: Value[] = []
    repetitions.forEach((repetition, index) => {
      if (repetition === 0) {
        list = []
        this.cells.push(list)
      }
      const level = levels.length === 0 ? maxDefinition : levels[index]
      if (level === maxDefinition) list.push(values[value++])
      // A list that is empty has one level as well, and nothing in it.
      else if (level === 1) list.push(null)
    })
  }
}
