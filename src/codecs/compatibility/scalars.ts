import type { SchemaNode } from '../json-schema/document.js'
import type { Bound, Facts } from './facts.js'
import { isWiderFormat } from './formats.js'
import { type Gap, gap, type Place } from './gaps.js'

export function numberGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
  const { document } = node
  const isInteger = !facts.types().includes('fraction')
  const gaps: Gap[] = []
  const bounds = [
    ['minimum', 'exclusiveMinimum', facts.lower(isInteger), 1],
    ['maximum', 'exclusiveMaximum', facts.upper(isInteger), -1],
  ] as const
  for (const [inclusive, exclusive, written, sign] of bounds) {
    const [limit, open] = [document.keyword(node, inclusive), document.keyword(node, exclusive)]
    if (typeof limit === 'number' && !isWithin(written, limit, false, sign))
      gaps.push(gap(place, 'bound', { name: inclusive, reader: limit, writer: written?.at }))
    if (typeof open === 'number' && !isWithin(written, open, true, sign))
      gaps.push(gap(place, 'bound', { name: exclusive, reader: open, writer: written?.at }))
  }
  const step = document.keyword(node, 'multipleOf')
  const steps = [...facts.all('multipleOf'), ...(isInteger ? [1] : [])] as number[]
  if (typeof step === 'number' && !steps.some((own) => own === step || (isInteger && isWholeMultiple(own, step))))
    gaps.push(gap(place, 'bound', { name: 'multipleOf', reader: step, writer: facts.all('multipleOf')[0] }))
  return [...gaps, ...formatGaps(facts, node, 'number', isInteger, place)]
}

function isWithin(written: Bound | undefined, limit: number, isExclusive: boolean, sign: 1 | -1): boolean {
  if (written === undefined) return false
  const beyond = sign * (written.at - limit)
  return beyond > 0 || (beyond === 0 && (!isExclusive || written.isExclusive))
}

/** Of fractions it can't be told: they are rounded. */
function isWholeMultiple(own: number, step: number): boolean {
  return Number.isInteger(own) && Number.isInteger(step) && own % step === 0
}

export function stringGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
  const gaps = sizeGaps(facts, node, 'minLength', 'maxLength', place)
  const pattern = node.document.keyword(node, 'pattern')
  const patterns = facts.all('pattern')
  if (pattern !== undefined && !patterns.includes(pattern))
    gaps.push(gap(place, 'keyword', { name: 'pattern', reader: pattern, writer: patterns[0] }))
  return [...gaps, ...formatGaps(facts, node, 'string', false, place)]
}

function formatGaps(facts: Facts, node: SchemaNode, of: 'string' | 'number', isInteger: boolean, place: Place): Gap[] {
  const format = node.document.keyword(node, 'format')
  if (typeof format !== 'string' || node.document.formatOf(format) !== of) return []
  const written = facts.all('format') as string[]
  if (written.includes(format) || written.some((own) => isWiderFormat(format, own))) return []
  if (format === 'float' || format === 'double' || (format === 'int64' && isInteger)) return []
  return [gap(place, 'keyword', { name: 'format', reader: format, writer: written[0] })]
}

export function sizeGaps(facts: Facts, node: SchemaNode, fewest: string, most: string, place: Place): Gap[] {
  const [min, max] = [node.document.keyword(node, fewest), node.document.keyword(node, most)]
  const [own, largest] = [facts.most(fewest), facts.least(most)]
  const gaps: Gap[] = []
  if (typeof min === 'number' && (own ?? 0) < min)
    gaps.push(gap(place, 'bound', { name: fewest, reader: min, writer: own }))
  if (typeof max === 'number' && !(largest !== undefined && largest <= max))
    gaps.push(gap(place, 'bound', { name: most, reader: max, writer: largest }))
  return gaps
}

export function propertyCountGaps(facts: Facts, node: SchemaNode, place: Place): Gap[] {
  return sizeGaps(facts, node, 'minProperties', 'maxProperties', place).filter(({ subject: { name, reader } }) => {
    if (name === 'minProperties') return facts.required().size < Number(reader)
    const isOpen = [undefined, ...facts.patterns()].some((pattern) => !facts.others(pattern).isEmpty())
    return isOpen || [...facts.names()].filter((one) => !facts.property(one).isEmpty()).length > Number(reader)
  })
}
