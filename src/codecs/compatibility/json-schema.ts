import type { ErrorObject } from 'ajv'
import { withDefaults } from '../json-schema/defaults.js'
import { pointerName, type SchemaDocument } from '../json-schema/document.js'
import { Facts } from './facts.js'
import type { Gap } from './gaps.js'
import { gapsBetween } from './proof.js'
import { ruleTexts } from './rules.js'
import { hintsOf, Sampler } from './samples.js'
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

interface Counterexample {
  readonly value: unknown
  readonly errors: readonly ErrorObject[]
}

/** How many values of the writer are tried on the reader. */
const mostSamples = 2_000

/**
 * Whether a reader takes all that a writer's schema allows. `compatible` is proven, and `incompatible` has an example, which
 * was validated by both schemas; between the two it is `cannot tell`.
 */
export function compareJsonSchemas(writer: SchemaDocument, reader: SchemaDocument, sides: Sides): Comparison {
  const gaps = gapsBetween(writer.root, reader.root)
  if (gaps.length === 0) return { verdict: 'compatible', faults: [] }
  const found = counterexamples(writer, reader)
  const faults = gaps.map((gap) => faultOf(gap, found, sides))
  const [simplest] = found
  // What was refused may be told of another place than where the proof has its gap.
  if (simplest !== undefined && faults.every(({ isCertain }) => !isCertain))
    faults[0] = { ...(faults[0] as SchemaFault), isCertain: true, example: simplest.value }
  return { verdict: verdictOf(faults), faults }
}

/** Values of the writer that the reader refuses, the simplest first. */
function counterexamples(writer: SchemaDocument, reader: SchemaDocument): readonly Counterexample[] {
  const sampler = new Sampler(hintsOf(writer.root.schema, reader.root.schema))
  const found = sampler
    .of(Facts.of([writer.root]), undefined, mostSamples)
    .map((value) => ({ value, errors: reader.errors(reader.root, withDefaults(reader.root, value)) }))
    .filter(({ errors }) => errors.length > 0)
  const weight = ({ value, errors }: Counterexample) => errors.length * 1_000 + JSON.stringify(value).length
  return found.sort((one, other) => weight(one) - weight(other))
}

function faultOf(gap: Gap, found: readonly Counterexample[], sides: Sides): SchemaFault {
  const shown = found.find(({ errors }) => errors.some((error) => isAbout(error, gap)))
  return {
    path: pathText(gap.path),
    rule: gap.rule,
    ...ruleTexts(gap.rule, gap.subject, sides),
    isCertain: shown !== undefined,
    ...(shown === undefined ? {} : { example: shown.value }),
  }
}

function isAbout(error: ErrorObject, { path, rule, subject }: Gap): boolean {
  const at = error.instancePath.split('/').slice(1).map(pointerName)
  const params = error.params as Record<string, unknown>
  const { name = '' } = subject
  const isOne = !name.startsWith('/')
  if (rule === 'required') return isAt(at, path) && params['missingProperty'] === name
  if (rule === 'bound' || rule === 'keyword') return isAt(at, path) && error.keyword === name
  if (rule === 'open-property' && isOne) return isWithin(at, [...path, name])
  if (rule === 'closed-property' && isOne) {
    const refused = [params['additionalProperty'], params['unevaluatedProperty']]
    return (isAt(at, path) && refused.includes(name)) || isWithin(at, [...path, name])
  }
  return isWithin(at, path)
}

function isAt(at: readonly string[], path: readonly Step[]): boolean {
  return at.length === path.length && isWithin(at, path)
}

function isWithin(at: readonly string[], path: readonly Step[]): boolean {
  return path.every((step, index) => {
    if (at[index] === undefined) return false
    return step === eachItem || step === eachOther || String(step) === at[index]
  })
}
