/** Reads the options of a stage out of its zod schema. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { root } from '../process.mjs'

const { duration } = await import(pathToFileURL(join(root, 'dist/model/duration.js')).href)

/** Rows `{ name, type, fallback, description }`; options of a nested object are named `outer.inner`. */
export function optionsOf(schema, prefix = '') {
  const { inner } = unwrap(schema)
  const shape = inner.shape ?? {}
  return Object.entries(shape).flatMap(([name, field]) => {
    const { inner: type, fallback, optional, description } = unwrap(field)
    const nested = merged(shapesIn(type).map((shaped) => optionsOf(shaped, `${prefix}${name}.`)))
    const row = { name: `${prefix}${name}`, type: typeOf(type), optional, description }
    return [fallback === undefined ? row : { ...row, fallback: shown(fallback, row.type) }, ...nested]
  })
}

/** The objects that a type may be: itself, or some of the choices of a union. */
function shapesIn(type) {
  if (type.shape !== undefined) return [type]
  if (type.def.type !== 'union') return []
  return type.def.options.flatMap((option) => shapesIn(unwrap(option).inner))
}

/** Choices may share options: `mechanism` is told once, with all that it can be, and what only some have is optional. */
function merged(choices) {
  const byName = new Map()
  for (const given of choices.flat()) {
    const isEverywhere = choices.every((rows) => rows.some(({ name }) => name === given.name))
    const row = isEverywhere ? given : { ...given, optional: true }
    const known = byName.get(row.name)
    if (known === undefined) byName.set(row.name, row)
    else if (!known.type.includes(row.type)) byName.set(row.name, { ...known, type: `${known.type} or ${row.type}` })
  }
  return [...byName.values()]
}

/** Takes off what zod wraps round a type, remembering the default and the outermost description. */
function unwrap(schema, known = { optional: false }) {
  const description = known.description ?? schema.description
  const { type, innerType, defaultValue } = schema.def
  if (type === 'default' || type === 'prefault') {
    return unwrap(innerType, { ...known, description, optional: true, fallback: defaultValue })
  }
  if (innerType !== undefined) return unwrap(innerType, { ...known, description, optional: true })
  if (type === 'pipe' && !isDuration(schema)) return unwrap(schema.in, { ...known, description })
  return { ...known, description, inner: schema }
}

/** A described duration is a copy of it, around the same check. */
function isDuration(schema) {
  return schema.def.in !== undefined && schema.def.in === duration.def.in
}

function typeOf(schema) {
  if (isDuration(schema)) return 'duration'
  const { type, entries, options, values, element, valueType } = schema.def
  if (type === 'enum') return Object.values(entries).map(quoted).join(' or ')
  if (type === 'literal') return values.map(quoted).join(' or ')
  if (type === 'union') return [...new Set(options.map((option) => typeOf(unwrap(option).inner)))].join(' or ')
  if (type === 'array') return `array of ${typeOf(unwrap(element).inner)}`
  if (type === 'record') return `object of ${typeOf(unwrap(valueType).inner)}`
  if (type === 'custom') return typeOfCustom(schema)
  if (type === 'number') return schema.format === 'safeint' ? 'integer' : 'number'
  return type
}

/** A custom check says nothing of itself, so it is asked what it takes. */
function typeOfCustom(schema) {
  const samples = { function: () => undefined, object: {}, schema: z.string() }
  const taken = Object.keys(samples).find((name) => schema.safeParse(samples[name]).success)
  return taken ?? 'value'
}

function quoted(value) {
  return typeof value === 'string' ? `\`'${value}'\`` : `\`${value}\``
}

function shown(value, type) {
  if (type === 'duration') return `\`'${durationText(value)}'\``
  return `\`${typeof value === 'string' ? `'${value}'` : JSON.stringify(value)}\``
}

/** The largest unit that tells it in whole numbers. */
function durationText(ms) {
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 }
  const unit = Object.keys(units).find((name) => ms % units[name] === 0 && ms >= units[name]) ?? 's'
  return `${ms / units[unit]}${unit}`
}
