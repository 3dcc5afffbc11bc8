import { type Column, columns, innerIds } from '../archive/columns.js'

const header = {
  type: 'record',
  name: 'Header',
  fields: [
    field('name', 'string', innerIds.headerName, {}),
    field('value', 'bytes', innerIds.headerValue, { isOptional: true }),
  ],
}

/** The schema of an archive's containers, as their header has it. */
export const schemaText = JSON.stringify({
  type: 'record',
  name: 'Event',
  namespace: 'weir.archive',
  doc: 'A CloudEvent and where it lies in Kafka.',
  fields: columns.map((column) => field(column.name, typeOf(column), column.id, column)),
})

function field(name: string, type: unknown, id: number, { doc = undefined as string | undefined, isOptional = false }) {
  const common = { name, doc, 'field-id': id }
  return isOptional ? { ...common, type: ['null', type], default: null } : { ...common, type }
}

function typeOf({ kind }: Column): unknown {
  switch (kind) {
    case 'text':
      return 'string'
    case 'bytes':
    case 'int':
    case 'long':
      return kind
    case 'instant':
      return { type: 'long', logicalType: 'timestamp-micros' }
    case 'pairs':
      return { type: 'map', values: 'string', 'key-id': innerIds.extensionName, 'value-id': innerIds.extensionValue }
    case 'headers':
      return { type: 'array', items: header, 'element-id': innerIds.header }
  }
}
