import { type Column, columns, innerIds } from '../archive/columns.js'

/** Numbers as the format has them. */
export const physical = { int32: 1, int64: 2, bytes: 6 } as const
const repetition = { required: 0, optional: 1, repeated: 2 } as const
const converted = { text: 0, map: 1, list: 3, micros: 10 } as const

const asText = { field_6: converted.text, field_10: { field_1: {} } }
const asMap = { field_6: converted.map, field_10: { field_2: {} } }
const asList = { field_6: converted.list, field_10: { field_3: {} } }
const asMicros = { field_6: converted.micros, field_10: { field_8: { field_1: true, field_2: { field_2: {} } } } }

/** A column of values, as the format has them: what lies in groups is written in several. */
export interface Leaf {
  readonly path: readonly string[]
  readonly type: (typeof physical)[keyof typeof physical]
  /** How many of the groups and values above a value, and itself, may be missing. */
  readonly maxDefinition: number
  /** 1 inside of a list. */
  readonly maxRepetition: 0 | 1
  readonly repeats: boolean
}

/** An element of the schema, as Thrift has it. */
type Element = Readonly<Record<`field_${number}`, unknown>>

/** The schema as a file's footer has it: the root, and each column with what is in it. */
export const schema: readonly Element[] = [
  { field_4: 'event', field_5: columns.length },
  ...columns.flatMap((column) => elementsOf(column)),
]

/** All of them, in their order in a file. */
export const leaves: readonly Leaf[] = columns.flatMap((column) => leavesOf(column))

export function leavesOf(column: Column): readonly Leaf[] {
  const { name, isOptional, repeats } = column
  const inner = { type: physical.bytes, maxRepetition: 1, repeats: false } as const
  switch (column.kind) {
    case 'pairs':
      return ['key', 'value'].map((leaf) => ({ ...inner, path: [name, 'key_value', leaf], maxDefinition: 1 }))
    case 'headers':
      return [
        { ...inner, path: [name, 'list', 'element', 'name'], maxDefinition: 1 },
        { ...inner, path: [name, 'list', 'element', 'value'], maxDefinition: 2 },
      ]
    case 'text':
    case 'bytes':
    case 'int':
    case 'long':
    case 'instant': {
      const type = typeOf(column.kind)
      return [{ path: [name], type, maxDefinition: isOptional ? 1 : 0, maxRepetition: 0, repeats }]
    }
  }
}

function typeOf(kind: 'text' | 'bytes' | 'int' | 'long' | 'instant'): Leaf['type'] {
  if (kind === 'int') return physical.int32
  return kind === 'long' || kind === 'instant' ? physical.int64 : physical.bytes
}

function elementsOf(column: Column): readonly Element[] {
  const { id, name, kind, isOptional } = column
  const group = (children: number, what: object) =>
    element(repetition.required, name, { field_5: children, ...what }, id)
  switch (kind) {
    case 'pairs':
      return [
        group(1, asMap),
        element(repetition.repeated, 'key_value', { field_5: 2 }),
        value(repetition.required, 'key', physical.bytes, asText, innerIds.extensionName),
        value(repetition.required, 'value', physical.bytes, asText, innerIds.extensionValue),
      ]
    case 'headers':
      return [
        group(1, asList),
        element(repetition.repeated, 'list', { field_5: 1 }),
        element(repetition.required, 'element', { field_5: 2 }, innerIds.header),
        value(repetition.required, 'name', physical.bytes, asText, innerIds.headerName),
        value(repetition.optional, 'value', physical.bytes, {}, innerIds.headerValue),
      ]
    case 'text':
    case 'bytes':
    case 'int':
    case 'long':
    case 'instant': {
      const what = kind === 'text' ? asText : kind === 'instant' ? asMicros : {}
      return [value(isOptional ? repetition.optional : repetition.required, name, typeOf(kind), what, id)]
    }
  }
}

function value(repetition: number, name: string, type: number, what: object, id: number): Element {
  return { field_1: type, ...element(repetition, name, what, id) }
}

function element(repetition: number, name: string, what: object, id?: number): Element {
  const { field_5, field_6, field_10 } = what as Element
  return { field_3: repetition, field_4: name, field_5, field_6, field_9: id, field_10 }
}
