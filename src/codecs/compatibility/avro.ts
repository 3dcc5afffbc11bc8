import type { AvroRecord, AvroType } from './avro-type.js'
import {
  type Comparison,
  eachItem,
  eachOther,
  pathText,
  type SchemaFault,
  type Sides,
  type Step,
  verdictOf,
} from './verdict.js'

/** What a type may be read as, besides itself. */
const promotions: Readonly<Record<string, readonly string[]>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
}

/** Whether a reader's schema can read all that was written with another one, by Avro's rules of schema resolution. */
export function compareAvroSchemas(writer: AvroType, reader: AvroType, sides: Sides): Comparison {
  const faults = new Resolution(sides).faults(writer, reader, [])
  const found = new Map(faults.map((fault) => [`${fault.path} ${fault.what}`, fault]))
  return { verdict: verdictOf([...found.values()]), faults: [...found.values()] }
}

type Named = Extract<AvroType, { readonly name: string }>

class Resolution {
  /** Pairs of records that are being compared: what lies in them is, too. */
  private readonly met = new Map<AvroRecord, Set<AvroRecord>>()

  constructor(private readonly sides: Sides) {}

  faults(writer: AvroType, reader: AvroType, path: readonly Step[]): readonly SchemaFault[] {
    if (writer.kind === 'union') return writer.branches.flatMap((branch) => this.faults(branch, reader, path))
    if (reader.kind === 'union') return this.anyBranch(writer, reader.branches, path)
    if (writer.kind === 'record' && reader.kind === 'record') return this.records(writer, reader, path)
    if (writer.kind === 'enum' && reader.kind === 'enum') return this.enums(writer, reader, path)
    if (writer.kind === 'fixed' && reader.kind === 'fixed') return this.fixed(writer, reader, path)
    if (writer.kind === 'array' && reader.kind === 'array')
      return this.faults(writer.of, reader.of, [...path, eachItem])
    if (writer.kind === 'map' && reader.kind === 'map') return this.faults(writer.of, reader.of, [...path, eachOther])
    if (writer.kind === reader.kind) return this.meanings(writer, reader, path)
    if (promotions[writer.kind]?.includes(reader.kind) === true) return this.meanings(writer, reader, path)
    return [this.typeFault(writer, [reader], path)]
  }

  private anyBranch(writer: AvroType, branches: readonly AvroType[], path: readonly Step[]): readonly SchemaFault[] {
    const tries = branches.map((branch) => this.faults(writer, branch, path))
    const best =
      tries.find((faults) => faults.length === 0) ?? tries.find((faults) => verdictOf(faults) === 'cannot tell')
    if (best !== undefined) return best
    const near = branches.findIndex(
      (branch) => branch.kind === writer.kind && (!isNamed(branch) || isCalled(branch, writer)),
    )
    return tries[near] ?? [this.typeFault(writer, branches, path)]
  }

  private records(writer: AvroRecord, reader: AvroRecord, path: readonly Step[]): readonly SchemaFault[] {
    const known = this.met.get(writer) ?? new Set()
    if (known.has(reader)) return []
    this.met.set(writer, new Set([...known, reader]))
    try {
      return [
        ...this.names(writer, reader, path),
        ...reader.fields.flatMap((field) => {
          const written = writer.fields.find(({ name }) => name === field.name || field.aliases.includes(name))
          const at = [...path, field.name]
          if (written !== undefined) return this.faults(written.type, field.type, at)
          return field.hasDefault ? [] : [this.fieldFault(field.name, path)]
        }),
      ]
    } finally {
      this.met.set(writer, known)
    }
  }

  private enums(
    writer: Extract<AvroType, { kind: 'enum' }>,
    reader: Extract<AvroType, { kind: 'enum' }>,
    path: readonly Step[],
  ): readonly SchemaFault[] {
    const missing = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol))
    const names = this.names(writer, reader, path)
    if (missing.length === 0 || reader.fallback !== undefined) return names
    const list = missing.join(', ')
    return [
      ...names,
      this.fault(
        path,
        'symbols',
        `${this.sides.writer} may write ${list}, which ${this.sides.reader} does not have, nor a default`,
        {
          reader: `Keep ${list}, or give the enum a default.`,
          writer: `Write ${list} only when every reader has it: give the enum a default, and add symbols after that.`,
        },
      ),
    ]
  }

  private fixed(
    writer: Extract<AvroType, { kind: 'fixed' }>,
    reader: Extract<AvroType, { kind: 'fixed' }>,
    path: readonly Step[],
  ): readonly SchemaFault[] {
    const names = [...this.names(writer, reader, path), ...this.meanings(writer, reader, path)]
    if (writer.size === reader.size) return names
    const mend = `Leave the size at ${this.sides.newer === 'reader' ? writer.size : reader.size}, or add a field.`
    const what = `${this.sides.writer} writes ${writer.size} bytes, ${this.sides.reader} reads ${reader.size}`
    return [...names, this.fault(path, 'size', what, { reader: mend, writer: mend })]
  }

  private names(writer: Named, reader: Named, path: readonly Step[]): readonly SchemaFault[] {
    if (writer.name === reader.name || reader.aliases.includes(writer.name)) return []
    const isMoved = unqualified(writer.name) === unqualified(reader.name)
    const what = `${this.sides.writer} calls it ${writer.name}, ${this.sides.reader} ${reader.name}`
    const mends = { reader: `Keep the name, or add '${writer.name}' to its aliases.`, writer: 'Keep the name.' }
    // The specification compares names without their namespaces; some readers compare all of them.
    return [this.fault(path, isMoved ? 'namespace' : 'name', what, mends, !isMoved)]
  }

  /** What is read, but means another thing to the reader. */
  private meanings(writer: AvroType, reader: AvroType, path: readonly Step[]): readonly SchemaFault[] {
    const [written, read] = [writer, reader].map((type) => ('logical' in type ? type.logical : undefined))
    if (written === read || written === undefined || read === undefined) return []
    const what = `${this.sides.writer} means ${written}, and ${this.sides.reader} reads it as ${read}: not all readers convert it`
    const mend = `Leave the logical type at ${this.sides.newer === 'reader' ? written : read}, or add a field.`
    return [this.fault(path, 'logical-type', what, { reader: mend, writer: mend }, false)]
  }

  private typeFault(writer: AvroType, readers: readonly AvroType[], path: readonly Step[]): SchemaFault {
    const [written, read] = [nameOf(writer), readers.map(nameOf).join(' or ')]
    return this.fault(path, 'type', `${this.sides.writer} may write ${written}, ${this.sides.reader} reads ${read}`, {
      reader: `Go on reading ${written}: as what it is promoted to, or beside others in a union.`,
      writer: `Go on writing ${read}; readers have to take ${written} before it is written.`,
    })
  }

  private fieldFault(name: string, path: readonly Step[]): SchemaFault {
    const { writer, reader } = this.sides
    return this.fault(
      path,
      'field',
      `${reader} has the field '${name}' without a default, and ${writer} does not write it`,
      {
        reader: `Give '${name}' a default, or an alias if it is a field of before under another name.`,
        writer: `Go on writing '${name}': only fields that have a default for their readers may go.`,
      },
    )
  }

  private fault(
    path: readonly Step[],
    rule: string,
    what: string,
    mends: Readonly<Record<'reader' | 'writer', string>>,
    isCertain = true,
  ): SchemaFault {
    return { path: pathText(path), rule, what, mend: mends[this.sides.newer], isCertain }
  }
}

function isNamed(type: AvroType): type is Named {
  return 'name' in type
}

function isCalled(type: Named, writer: AvroType): boolean {
  return isNamed(writer) && unqualified(type.name) === unqualified(writer.name)
}

function unqualified(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}

function nameOf(type: AvroType): string {
  if (type.kind === 'array' || type.kind === 'map') return `${type.kind} of ${nameOf(type.of)}`
  if (type.kind === 'union') return type.branches.map(nameOf).join(' or ')
  return isNamed(type) ? `${type.kind} ${type.name}` : type.kind
}
