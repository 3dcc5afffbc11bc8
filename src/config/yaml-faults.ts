import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { ConfigFault } from '../engine/config-error.js'
import { closest } from './closest.js'
import { KnownKeys } from './known-keys.js'
import { isSecretKey, type YamlPath, type YamlText } from './yaml-text.js'

/** What zod tells of a fault beside its message. */
interface Issue extends StandardSchemaV1.Issue {
  readonly code?: string
  readonly expected?: string
  readonly keys?: readonly string[]
  readonly values?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly params?: { readonly hint?: unknown }
}

/** What a schema makes of a YAML text, or all that is wrong with it. */
export function checkYaml<T>(
  text: YamlText,
  schema: StandardSchemaV1<unknown, T>,
): { readonly value?: T; readonly faults: readonly ConfigFault[] } {
  if (text.isBroken) return { faults: text.faults }
  const result = validated(text, schema)
  if (result.issues === undefined)
    return text.faults.length === 0
      ? { value: result.value, faults: [] }
      : { faults: inOrder([...text.faults, ...text.unsetIn([])]) }
  const known = new KnownKeys(schema)
  const told = result.issues.flatMap((issue) => faultsOf(issue, text, known))
  return { faults: inOrder([...text.faults, ...text.unsetIn([]), ...told]) }
}

/** A value without quotes is what the schema takes: first as YAML reads it, a variable as text, and then the other way. */
function validated<T>(text: YamlText, schema: StandardSchemaV1<unknown, T>): StandardSchemaV1.Result<T> {
  const first = validate(text, schema)
  const reread = issuesOf(first).filter((issue) => text.reread(pathOf(issue)))
  if (reread.length === 0) return first
  const second = validate(text, schema)
  // What is of the wrong type either way is told as it looks.
  const wrong = issuesOf(second).filter((issue) => isOfType(issue) && text.readTyped(pathOf(issue)))
  return wrong.length === 0 ? second : validate(text, schema)
}

function validate<T>(text: YamlText, schema: StandardSchemaV1<unknown, T>): StandardSchemaV1.Result<T> {
  const result = schema['~standard'].validate(text.value())
  if (!(result instanceof Promise)) return result
  // Nobody will await it, and a rejection that nobody handles ends the process.
  result.catch(() => undefined)
  return { issues: [{ message: 'the schema answers asynchronously' }] }
}

function issuesOf({ issues = [] }: StandardSchemaV1.Result<unknown>): readonly Issue[] {
  return issues
}

function isOfType({ code = 'invalid_type' }: Issue): boolean {
  return code === 'invalid_type' || code === 'invalid_union'
}

function pathOf({ path = [] }: StandardSchemaV1.Issue): YamlPath {
  return path.map((step) => (typeof step === 'object' ? step.key : step))
}

function faultsOf(issue: Issue, text: YamlText, known: KnownKeys): ConfigFault[] {
  const path = pathOf(issue)
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => {
      const what = `there is no setting '${[...path, key].join('.')}'`
      return text.fault(what, whereItBelongs(path, key, known), text.placeOfKey([...path, key]))
    })
  }
  // That has been told as what it is.
  if (path.length > 0 && text.unsetIn(path).length > 0) return []
  const value = text.valueAt(path)
  const { reason, mend } = explained(issue, path, value, text, known)
  const what = path.length === 0 ? 'it' : `'${path.join('.')}'`
  return [text.fault(`${what} ${reason}`, mend, text.placeOf(path))]
}

function whereItBelongs(path: YamlPath, key: string, known: KnownKeys): string {
  const [elsewhere] = known.pathsTo(key)
  if (elsewhere !== undefined) {
    const under = elsewhere.slice(0, -1).join('.')
    return under === '' ? 'It belongs at the top.' : `It belongs under '${under}'.`
  }
  const keys = known.keysAt(path)
  const meant = closest(key, keys)
  if (meant !== undefined) return `Did you mean '${meant}'?`
  return keys.length === 0 ? 'Leave it out.' : `There can be ${keys.join(', ')}.`
}

function explained(
  issue: Issue,
  path: YamlPath,
  value: unknown,
  text: YamlText,
  known: KnownKeys,
): { readonly reason: string; readonly mend: string } {
  const { code, expected = '', values, minimum, maximum, message, params } = issue
  const shown = shownValue(path, value)
  if (code === 'invalid_type' && value === undefined)
    return { reason: 'is missing', mend: `Add it: \`${String(path.at(-1))}: …\`.` }
  if (code === 'invalid_type') {
    const { what, mend } = types[expected] ?? { what: expected, mend: `Write ${expected}.` }
    const isNumeric = typeof value === 'string' && text.isQuoted(path) && value !== '' && Number.isFinite(Number(value))
    const keys = known.keysAt(path)
    return {
      reason: `has to be ${what}, and is ${shown}`,
      mend: isNumeric
        ? 'Leave out the quotes.'
        : expected === 'object' && keys.length > 0
          ? `There can be ${keys.join(', ')} below it.`
          : mend,
    }
  }
  if (code === 'invalid_value' && values !== undefined) {
    const meant = typeof value === 'string' && values.length > 1 ? closest(value, values.map(String)) : undefined
    const choice = values.map(String).join(', ')
    return {
      reason: `has to be ${values.length === 1 ? choice : `one of ${choice}`}, and is ${shown}`,
      mend: meant === undefined ? `Write ${values.map(String).join(' or ')}.` : `Did you mean '${meant}'?`,
    }
  }
  const reason = `is ${shown}: ${message.replace(/^(Invalid \w+|Too small|Too big): /, '')}`
  if (typeof params?.hint === 'string') return { reason: message, mend: params.hint }
  if (code === 'too_small' && typeof value === 'number') return { reason, mend: `Write ${minimum} or more.` }
  if (code === 'too_big' && typeof value === 'number') return { reason, mend: `Write ${maximum} or less.` }
  return { reason, mend: 'Correct it there, or leave it out.' }
}

const types: Record<string, { readonly what: string; readonly mend: string } | undefined> = {
  number: { what: 'a number', mend: 'Write a number.' },
  int: { what: 'a whole number', mend: 'Write a number without a fraction.' },
  string: { what: 'text', mend: 'Write text.' },
  boolean: { what: 'true or false', mend: 'Write true or false.' },
  object: { what: 'keys with values', mend: 'Write its keys below it, indented.' },
  array: { what: 'a list', mend: 'Write a list: [a, b].' },
}

function shownValue(path: YamlPath, value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'keys with values'
  if (isSecretKey(String(path.at(-1)))) return 'something else'
  return typeof value === 'string' ? `'${value}'` : String(value)
}

function inOrder(faults: readonly ConfigFault[]): ConfigFault[] {
  return [...faults].sort(
    ({ place: a }, { place: b }) => (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0),
  )
}
