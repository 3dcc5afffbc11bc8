import { relative } from 'node:path'
import {
  type Change,
  type CompatibilityLevel,
  checkChange,
  levels,
  type VersionFault,
} from '../codecs/compatibility/index.js'
import { versionSchemaOf } from '../codecs/event-schemas/event-schema.js'
import { readSchemaFolder } from '../codecs/event-schemas/folder.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { painter } from './paint.js'
import { schemaFolder } from './schema-registry.js'

export interface SchemaCheckOptions {
  readonly rule?: string
  readonly json?: boolean
}

interface Checked extends Change {
  readonly eventType: string
  readonly version: number
}

const symbols = { compatible: '✓', incompatible: '✗', 'cannot tell': '?' } as const
const colors = { compatible: 'green', incompatible: 'red', 'cannot tell': 'yellow' } as const

/** `weir schema check`: compares each version of the schemas in a folder with those before it. 1 when one may not follow. */
export function schemaCheck(
  folder: string | undefined,
  { rule = 'BACKWARD', json }: SchemaCheckOptions,
  io: Io,
): number {
  const level = levelOf(rule)
  const where = schemaFolder(folder, io)
  const changes = checkFolder(where, level)
  const isGood = changes.every(({ verdict }) => verdict === 'compatible')
  if (json) io.stdout.write(`${JSON.stringify({ ok: isGood, rule: level, changes }, undefined, 2)}\n`)
  else io.stdout.write(`${report(changes, level, relative(io.cwd, where) || '.', io).join('\n')}\n`)
  return isGood ? exitCodes.ok : exitCodes.failed
}

export function levelOf(rule: string): CompatibilityLevel {
  const level = levels.find((one) => one === rule.toUpperCase().replaceAll('-', '_'))
  if (level === undefined) throw new UsageError(`no rule is called '${rule}': there are ${levels.join(', ')}`)
  return level
}

/** Errors: WEIR_CONFIG_INVALID of schemas that don't hold. */
function checkFolder(folder: string, level: CompatibilityLevel): Checked[] {
  return [...readSchemaFolder(folder)].flatMap(([eventType, schemas]) => {
    const versions = schemas.map((schema) => ({ name: `v${schema.version}`, schema: versionSchemaOf(schema) }))
    return schemas.map(({ version }, index) => ({
      eventType,
      version,
      ...checkChange(versions.slice(0, index), versions[index] as (typeof versions)[number], level),
    }))
  })
}

function report(changes: readonly Checked[], level: CompatibilityLevel, folder: string, io: Io): string[] {
  if (changes.length === 0) return [`there are no schemas in ${folder}`]
  const paint = painter(io.stdout, io)
  const width = Math.max(...changes.map(({ eventType, version }) => `${eventType}/v${version}`.length))
  return [
    `schemas of ${folder}, by ${level}`,
    '',
    ...changes.flatMap(({ eventType, version, verdict, faults }) => [
      `${paint(colors[verdict], symbols[verdict])} ${`${eventType}/v${version}`.padEnd(width)}   ${verdict}`,
      ...faults.flatMap(faultLines),
    ]),
  ]
}

/** A fault as people read it. */
export function faultLines({ path, rule, what, mend, isCertain, example }: VersionFault): string[] {
  return [
    `    ${path === '' ? '' : `${path}: `}${what} (${rule}${isCertain ? '' : ', it can not be told whether that breaks'})`,
    ...(example === undefined ? [] : [`      for example ${JSON.stringify(example)}`]),
    `      ${mend}`,
  ]
}
