import { short } from './short.js'
import type { Sides } from './verdict.js'

/** What a rule is broken by. */
export interface Subject {
  /** A property, or a keyword. */
  readonly name?: string
  /** What the reader's schema says. */
  readonly reader?: unknown
  /** What the writer's does. */
  readonly writer?: unknown
}

interface Rule {
  what(subject: Subject, sides: Sides): string
  /** How to change the reader's schema, where that is the newer one, and how the writer's. */
  readonly reader: (subject: Subject, sides: Sides) => string
  readonly writer: (subject: Subject, sides: Sides) => string
}

/** The rules of JSON Schema: what has to hold for a reader to understand a writer. */
export const rules = {
  required: {
    what: ({ name }, { reader, writer }) => `${reader} requires '${name}', which ${writer} may leave out`,
    reader: ({ name }) => `Leave '${name}' optional, or give it a default.`,
    writer: ({ name }) => `Keep '${name}' required.`,
  },
  'closed-property': {
    what: ({ name }, { reader, writer }) => `${writer} may have '${name}', which ${reader} does not allow`,
    reader: ({ name }) => `Keep '${name}' as an optional property, or let the object be open.`,
    writer: ({ name }) => `Leave '${name}' out until every reader allows it: change the readers' schema first.`,
  },
  'open-property': {
    what: ({ name }, { reader, writer }) =>
      `${reader} says what '${name}' is, and ${writer} is open: anything may have been written there`,
    reader: ({ name }) =>
      `Let '${name}' be anything (true), or begin a new subject whose objects are closed (additionalProperties: false).`,
    writer: ({ name }) => `Keep '${name}' in the schema, optional if it is no longer written.`,
  },
  'other-properties': {
    what: (_, { reader, writer }) =>
      `${writer} may have properties that it does not name, which ${reader} does not allow`,
    reader: () => 'Leave additionalProperties (or unevaluatedProperties) as it was.',
    writer: () => 'Keep the object closed.',
  },
  type: {
    what: (subject, { reader, writer }) =>
      `${writer} may be ${listed(subject.writer)}, ${reader} takes ${listed(subject.reader)} only`,
    reader: (subject) => `Add to the types: ${listed(subject.writer, 'and')}.`,
    writer: (subject) => `Stay with the types of before: ${listed(subject.reader, 'and')}.`,
  },
  values: {
    what: (subject, { reader, writer }) => `${writer} may be ${listed(subject.writer)}, which ${reader} does not take`,
    reader: (subject) => `Go on taking ${listed(subject.writer, 'and')}.`,
    writer: (subject) => `Write ${listed(subject.writer, 'and')} only when every reader takes it.`,
  },
  enum: {
    what: (subject, { reader, writer }) =>
      `${reader} takes ${listed(subject.reader)} only, ${writer} may be something else`,
    reader: () => 'Do without the list, or list in the type that it had.',
    writer: (subject) => `Keep the list: ${listed(subject.reader, 'and')}.`,
  },
  bound: {
    what: ({ name, ...subject }, { reader, writer }) =>
      `${reader} has ${name} ${short(subject.reader)}, ${writer} ${subject.writer === undefined ? 'has none' : short(subject.writer)}`,
    reader: ({ name, writer }) =>
      writer === undefined ? `Do without ${name}.` : `Leave ${name} at ${short(writer)}, or less strict.`,
    writer: ({ name, reader }) => `Keep ${name} ${short(reader)}, or be stricter.`,
  },
  keyword: {
    what: ({ name, ...subject }, { reader, writer }) =>
      `${reader} has ${name} ${short(subject.reader)}, and nothing in ${writer} says that it holds`,
    reader: ({ name, writer }) => (writer === undefined ? `Do without ${name}.` : `Leave ${name} at ${short(writer)}.`),
    writer: ({ name, reader }) => `Keep ${name} ${short(reader)}.`,
  },
  alternatives: {
    what: ({ name }, { reader, writer }) =>
      name === 'oneOf'
        ? `not everything that ${writer} may be is surely one, and only one, of ${reader}'s oneOf`
        : `not everything that ${writer} may be is surely one of ${reader}'s ${name}`,
    reader: ({ name }) => `Keep each alternative of before in ${name}, and tell them apart by a property with a const.`,
    writer: ({ name }) => `Add no alternative to ${name} that readers do not have yet.`,
  },
  nothing: {
    what: (_, { reader, writer }) => `${reader} takes nothing here, ${writer} may have something`,
    reader: () => 'Let it be what it was.',
    writer: () => 'Leave it out until every reader takes it.',
  },
  unknown: {
    what: ({ name }) => `${name} is not followed`,
    reader: ({ name }) => `Compare by hand, or say it without ${name}.`,
    writer: ({ name }) => `Compare by hand, or say it without ${name}.`,
  },
} as const satisfies Record<string, Rule>

export type RuleName = keyof typeof rules

export function ruleTexts(name: RuleName, subject: Subject, sides: Sides): { what: string; mend: string } {
  const rule: Rule = rules[name]
  return { what: rule.what(subject, sides), mend: rule[sides.newer](subject, sides) }
}

function listed(values: unknown, last = 'or'): string {
  const texts = (Array.isArray(values) ? values : [values]).map((value) => short(value))
  const shown = texts.length > 8 ? [...texts.slice(0, 7), `${texts.length - 7} more`] : texts
  return shown.length < 2 ? shown.join() : `${shown.slice(0, -1).join(', ')} ${last} ${shown.at(-1)}`
}
