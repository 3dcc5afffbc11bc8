import { WeirError } from '../../model/index.js'
import { isPlainObject } from '../../model/plain-object.js'
import type { AvroSchema } from '../avro/values.js'

export const primitives = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const
type Primitive = (typeof primitives)[number]

interface Logical {
  /** What it means, with what belongs to that (`decimal(9,2)`); undefined of a plain type. */
  readonly logical: string | undefined
}

interface Named {
  /** With its namespace. */
  readonly name: string
  readonly aliases: readonly string[]
}

export interface AvroField {
  readonly name: string
  readonly aliases: readonly string[]
  readonly type: AvroType
  readonly hasDefault: boolean
}

export type AvroType =
  | (Logical & { readonly kind: Primitive })
  | { readonly kind: 'array' | 'map'; readonly of: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord
  | (Named & { readonly kind: 'enum'; readonly symbols: readonly string[]; readonly fallback: string | undefined })
  | (Named & Logical & { readonly kind: 'fixed'; readonly size: number })

export interface AvroRecord extends Named {
  readonly kind: 'record'
  /** Filled once the record is known, for its fields may be of its own type. */
  readonly fields: AvroField[]
}

/** Reads an Avro schema, and those that it refers to by name. Errors: WEIR_CONFIG_INVALID. */
export function readAvroType(schema: AvroSchema, references: readonly AvroSchema[] = []): AvroType {
  const reader = new TypeReader()
  for (const reference of references) reader.read(reference, '')
  return reader.read(schema, '')
}

class TypeReader {
  private readonly named = new Map<string, AvroType>()

  read(schema: unknown, namespace: string): AvroType {
    if (typeof schema === 'string') return this.lookUp(schema, namespace)
    if (Array.isArray(schema)) return { kind: 'union', branches: schema.map((branch) => this.read(branch, namespace)) }
    if (!isPlainObject(schema)) throw invalid(`expected a type, got ${JSON.stringify(schema)}`)
    const { type } = schema
    if (type === 'array') return { kind: 'array', of: this.read(schema['items'], namespace) }
    if (type === 'map') return { kind: 'map', of: this.read(schema['values'], namespace) }
    if (type === 'record' || type === 'error') return this.record(schema, namespace)
    if (type === 'enum') return this.enum(schema, namespace)
    if (type === 'fixed') {
      const { size } = schema
      if (!Number.isInteger(size)) throw invalid(`the fixed '${String(schema['name'])}' has no size`)
      return this.name({ kind: 'fixed', ...namesOf(schema, namespace), size: Number(size), logical: logicalOf(schema) })
    }
    const plain = this.read(type, namespace)
    return 'logical' in plain && plain.kind !== 'fixed' ? { ...plain, logical: logicalOf(schema) } : plain
  }

  private lookUp(name: string, namespace: string): AvroType {
    const primitive = primitives.find((one) => one === name)
    if (primitive !== undefined) return { kind: primitive, logical: undefined }
    const found = this.named.get(fullName(name, namespace)) ?? this.named.get(name)
    if (found === undefined) throw invalid(`the type '${name}' is not defined`)
    return found
  }

  private record(schema: Record<string, unknown>, namespace: string): AvroType {
    const names = namesOf(schema, namespace)
    const fields: AvroField[] = []
    const record: AvroRecord = { kind: 'record', ...names, fields }
    this.name(record)
    if (!Array.isArray(schema['fields'])) throw invalid(`the record '${names.name}' has no fields`)
    for (const field of schema['fields'] as Record<string, unknown>[]) {
      const own = String(field['name'])
      if (fields.some(({ name }) => name === own)) throw invalid(`the record '${names.name}' has two fields '${own}'`)
      const type = this.read(field['type'], spaceOf(names.name))
      const hasDefault = Object.hasOwn(field, 'default')
      if (hasDefault && !fits(field['default'], type))
        throw invalid(`the default of '${own}' in '${names.name}' is not of its type`)
      fields.push({ name: own, aliases: textsOf(field['aliases']), type, hasDefault })
    }
    return record
  }

  private enum(schema: Record<string, unknown>, namespace: string): AvroType {
    const fallback = schema['default']
    return this.name({
      kind: 'enum',
      ...namesOf(schema, namespace),
      symbols: textsOf(schema['symbols']),
      fallback: typeof fallback === 'string' ? fallback : undefined,
    })
  }

  private name<T extends AvroType & Named>(type: T): T {
    if (this.named.has(type.name)) throw invalid(`the type '${type.name}' is defined twice`)
    this.named.set(type.name, type)
    return type
  }
}

function namesOf(schema: Record<string, unknown>, namespace: string): Named {
  const { name, namespace: own } = schema
  if (typeof name !== 'string' || name === '') throw invalid(`a type (${String(schema['type'])}) has no name`)
  const full = fullName(name, typeof own === 'string' ? own : namespace)
  return { name: full, aliases: textsOf(schema['aliases']).map((alias) => fullName(alias, spaceOf(full))) }
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name.replace(/^\./, '') : `${namespace}.${name}`
}

function spaceOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')))
}

function logicalOf({ logicalType, precision, scale = 0 }: Record<string, unknown>): string | undefined {
  if (typeof logicalType !== 'string') return undefined
  return logicalType === 'decimal' ? `decimal(${String(precision)},${String(scale)})` : logicalType
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}

/** Whether a default is of a type; of a union, of any of its branches. */
function fits(value: unknown, type: AvroType): boolean {
  switch (type.kind) {
    case 'null':
      return value === null
    case 'boolean':
      return typeof value === 'boolean'
    case 'int':
    case 'long':
      return Number.isInteger(value)
    case 'float':
    case 'double':
      return typeof value === 'number'
    case 'bytes':
    case 'fixed':
    case 'string':
      return typeof value === 'string'
    case 'enum':
      return type.symbols.includes(value as string)
    case 'array':
      return Array.isArray(value) && value.every((item) => fits(item, type.of))
    case 'map':
      return isPlainObject(value) && Object.values(value).every((item) => fits(item, type.of))
    case 'union':
      return type.branches.some((branch) => fits(value, branch))
    case 'record':
      return (
        isPlainObject(value) &&
        type.fields.every((field) =>
          Object.hasOwn(value, field.name) ? fits(value[field.name], field.type) : field.hasDefault,
        )
      )
  }
}

function invalid(what: string): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `reading an Avro schema: ${what}`)
}
