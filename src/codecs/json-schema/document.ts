import { createRequire } from 'node:module'
import type { Ajv, ErrorObject, Options, ValidateFunction } from 'ajv'
import { messageOf, WeirError } from '../../model/index.js'
import { isPlainObject } from '../../model/plain-object.js'

const require = createRequire(import.meta.url)

/** A JSON Schema as it is written down. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown }

/** The other schemas that `$ref` can name, by their URIs. */
export type References = ReadonlyMap<string, JsonSchema>

export type Dialect = '2020-12' | 'draft-07'

/** One schema within a document. */
export interface SchemaNode {
  readonly schema: JsonSchema
  readonly document: SchemaDocument
  /** Its URI, with a JSON pointer; undefined of one that was made up. */
  readonly at: string | undefined
}

const dialects: Readonly<Record<string, Dialect>> = {
  'json-schema.org/draft/2020-12/schema': '2020-12',
  'json-schema.org/draft-07/schema': 'draft-07',
}
/** What the other dialect ignores. */
const keywordsOf = new Map<string, Dialect>([
  ...['prefixItems', 'dependentRequired', 'dependentSchemas', 'unevaluatedProperties'].map(newer),
  ...['unevaluatedItems', 'minContains', 'maxContains', '$anchor', '$dynamicAnchor', '$dynamicRef'].map(newer),
  ['additionalItems', 'draft-07'],
])
const ajvOptions: Options = {
  allErrors: true,
  strict: false,
  logger: false,
  ownProperties: true,
  // 19.99 is a multiple of 0.01, and 1e21 of 1.
  multipleOfPrecision: 9,
}
/** What holds each schema to those of its dialect, once for all: they take long to compile. */
const judges = new Map<Dialect, Ajv>()

/** A JSON Schema, with those that it refers to: compiled, and open to whoever walks it. */
export class SchemaDocument {
  readonly dialect: Dialect
  readonly root: SchemaNode
  private readonly ajv: Ajv
  private readonly validators = new Map<string, ValidateFunction>()
  /** Against what a `$ref` in a schema resolves. */
  private readonly bases = new WeakMap<object, string>()
  /** Schemas by their URIs: whole ones, and those that have an anchor. */
  private readonly named = new Map<string, SchemaNode>()
  private readonly targets = new WeakMap<object, SchemaNode>()

  /**
   * Without a `$schema` it is of 2020-12.
   * Errors: WEIR_CONFIG_INVALID when it does not hold, is of another dialect, or refers to what is not there.
   */
  constructor(
    schema: JsonSchema,
    readonly uri = 'schema:///schema.json',
    references: References = new Map(),
  ) {
    this.dialect = dialectOf(schema, uri)
    this.root = { schema, document: this, at: `${uri}#` }
    this.ajv = newAjv(this.dialect, { meta: false, validateSchema: false })
    // Where nothing asks what was evaluated, keeping track of it costs time, and ajv 8.20 has faults in that.
    if (![schema, ...references.values()].some(asksForEvaluated)) this.ajv.opts.unevaluated = false
    for (const [key, reference] of [[uri, schema] as const, ...references]) this.walk(reference, key, key, '')
    this.compile(schema, references)
    for (const part of [schema, ...references.values()]) this.followAll(part)
  }

  /** The value of a keyword; undefined where it is not there, or this dialect does not know it. */
  keyword(node: SchemaNode, name: string): unknown {
    if (typeof node.schema === 'boolean' || (keywordsOf.get(name) ?? this.dialect) !== this.dialect) return undefined
    return Object.hasOwn(node.schema, name) ? node.schema[name] : undefined
  }

  /** The schema below a schema, by the steps that lead there. */
  below(node: SchemaNode, schema: unknown, ...steps: readonly (string | number)[]): SchemaNode {
    const at = node.at === undefined ? undefined : [node.at, ...steps.map(pointerStep)].join('/')
    return { schema: schema as JsonSchema, document: this, at }
  }

  /** What a `$ref` of that schema leads to. */
  target(node: SchemaNode): SchemaNode | undefined {
    const ref = this.keyword(node, '$ref')
    if (typeof ref !== 'string') return undefined
    const schema = node.schema as object
    let target = this.targets.get(schema)
    if (target === undefined) this.targets.set(schema, (target = this.resolve(ref, this.bases.get(schema) ?? this.uri)))
    return target
  }

  /** Whether a value holds by a schema of this document. */
  accepts(node: SchemaNode, value: unknown): boolean {
    if (typeof node.schema === 'boolean') return node.schema
    return this.errors(node, value).length === 0
  }

  /**
   * All that is wrong with a value by a schema of this document; nothing where it holds.
   * Errors: WEIR_CONFIG_INVALID of a schema that ajv can't go by.
   */
  errors(node: SchemaNode, value: unknown): readonly ErrorObject[] {
    const validate = this.validator(node)
    try {
      return validate(value) ? [] : (validate.errors ?? [])
    } catch (error) {
      throw invalid(this.uri, `validating by it: ${messageOf(error)}`, error)
    }
  }

  /** What a format is of; undefined where it is not known, and says nothing. */
  formatOf(name: string): 'string' | 'number' | undefined {
    const format = this.ajv.formats[name] as { readonly type?: 'string' | 'number' } | undefined
    return format === undefined ? undefined : (format.type ?? 'string')
  }

  private validator(node: SchemaNode): ValidateFunction {
    const at = String(node.at)
    let validate = this.validators.get(at)
    if (validate === undefined) this.validators.set(at, (validate = this.ajv.compile({ $ref: at })))
    return validate
  }

  private compile(schema: JsonSchema, references: References): void {
    try {
      for (const [uri, part] of [...references, [this.uri, schema] as const]) {
        void judgeOf(this.dialect).validateSchema(part, true)
        this.ajv.addSchema(part, uri)
      }
      this.validator(this.root)
    } catch (error) {
      throw invalid(this.uri, messageOf(error), error)
    }
  }

  /** ajv does not look where it sees that it need not. */
  private followAll(part: unknown): void {
    if (typeof part !== 'object' || part === null) return
    if (isPlainObject(part)) this.target(this.below(this.root, part))
    for (const [keyword, value] of Object.entries(part)) if (!isData(keyword)) this.followAll(value)
  }

  private resolve(ref: string, base: string): SchemaNode {
    const { href } = new URL(ref, base)
    const [uri = '', fragment = ''] = href.split('#')
    if (!fragment.startsWith('/')) {
      const found = this.named.get(fragment === '' ? uri : href)
      if (found === undefined) throw invalid(this.uri, `'${ref}' leads nowhere`)
      return found
    }
    let node = this.named.get(uri)
    for (const step of fragment.slice(1).split('/')) {
      const name = pointerName(decodeURIComponent(step))
      const { schema } = node ?? {}
      const next = typeof schema === 'object' ? (schema as Record<string, unknown>)[name] : undefined
      if (node === undefined || next === undefined) throw invalid(this.uri, `'${ref}' leads nowhere`)
      node = this.below(node, next, name)
    }
    return node as SchemaNode
  }

  /** Finds what can be named: `$id` sets what is around it apart, anchors name a place. */
  private walk(part: unknown, base: string, resource: string, pointer: string): void {
    if (Array.isArray(part)) {
      for (const [index, item] of part.entries()) this.walk(item, base, resource, `${pointer}/${index}`)
      return
    }
    if (typeof part === 'boolean' && pointer === '') this.name(resource, part, resource, pointer)
    if (!isPlainObject(part)) return
    const { $id, $anchor, $dynamicAnchor } = part
    let own = base
    if (typeof $id === 'string') {
      const href = new URL($id, base).href
      if ($id.startsWith('#')) this.name(href, part, resource, pointer)
      else own = href.replace(/#$/, '')
    }
    this.bases.set(part, own)
    if (own !== base) this.name(own, part, resource, pointer)
    if (pointer === '') this.name(resource, part, resource, pointer)
    for (const anchor of [$anchor, $dynamicAnchor])
      if (typeof anchor === 'string') this.name(`${own}#${anchor}`, part, resource, pointer)
    for (const [keyword, value] of Object.entries(part)) {
      if (!isData(keyword)) this.walk(value, own, resource, `${pointer}/${pointerStep(keyword)}`)
    }
  }

  private name(uri: string, schema: JsonSchema, resource: string, pointer: string): void {
    this.named.set(uri, { schema, document: this, at: `${resource}#${pointer}` })
  }
}

/** Whether it is no schema that stands under a keyword, but values. */
function isData(keyword: string): boolean {
  return ['const', 'enum', 'default', 'examples'].includes(keyword)
}

function asksForEvaluated(part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return false
  return Object.entries(part).some(([name, value]) => name.startsWith('unevaluated') || asksForEvaluated(value))
}

function newer(name: string): [string, Dialect] {
  return [name, '2020-12']
}

function dialectOf(schema: JsonSchema, uri: string): Dialect {
  const said = typeof schema === 'object' ? schema['$schema'] : undefined
  if (said === undefined) return '2020-12'
  const name = typeof said === 'string' ? said : JSON.stringify(said)
  const dialect = dialects[name.replace(/^https?:\/\//, '').replace(/#$/, '')]
  if (dialect !== undefined) return dialect
  throw new WeirError('WEIR_CONFIG_INVALID', `reading the schema ${uri}: its dialect is ${name}`, {
    hint: 'Write it by JSON Schema 2020-12 (https://json-schema.org/draft/2020-12/schema) or draft-07.',
  })
}

function judgeOf(dialect: Dialect): Ajv {
  let judge = judges.get(dialect)
  if (judge === undefined) judges.set(dialect, (judge = newAjv(dialect)))
  return judge
}

/** Loaded where it is used, for what starts should not wait for it. */
function newAjv(dialect: Dialect, more: Options = {}): Ajv {
  const { default: Compiler } = require(dialect === '2020-12' ? 'ajv/dist/2020.js' : 'ajv') as {
    default: new (options: Options) => Ajv
  }
  const { default: addFormats } = require('ajv-formats') as { default: (ajv: Ajv) => Ajv }
  return addFormats(new Compiler({ ...ajvOptions, ...more }))
}

/** What a step of a JSON pointer stands for. */
export function pointerName(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~')
}

function pointerStep(step: string | number): string {
  return encodeURIComponent(String(step).replaceAll('~', '~0').replaceAll('/', '~1'))
}

function invalid(uri: string, what: string, cause?: unknown): WeirError {
  return new WeirError('WEIR_CONFIG_INVALID', `compiling the schema ${uri}: ${what}`, { cause })
}
