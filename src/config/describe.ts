import { relative } from 'node:path'
import { ConfigError, type ConfigFault } from '../engine/config-error.js'
import { describeError, type SourcePlace, WeirError } from '../model/index.js'
import { LoadError } from './load-error.js'
import { codeFrame, placeOf } from './source-place.js'

interface Described {
  readonly message: string
  readonly hint: string | undefined
  readonly place: SourcePlace | undefined
}

/** What is wrong with a configuration, where, and what to do, as text for people. Places are told from `cwd`. */
export function describeConfigError(error: unknown, cwd: string): string {
  const faults = describedFaults(error)
  if (faults === undefined) return describeError(error)
  const blocks = faults.map((fault) => describeFault(fault, cwd))
  const heading = faults.length === 1 ? [] : [`${faults.length} faults in the configuration`]
  return [...heading, ...blocks].join('\n\n')
}

/** The same as data, for `--json`. */
export function configFaults(error: unknown, cwd: string) {
  return (describedFaults(error) ?? [describedError(error)]).map((fault) => told(fault, cwd))
}

function told({ message, hint, place }: Described, cwd: string) {
  return {
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(place === undefined ? {} : { ...place, file: relative(cwd, place.file) }),
  }
}

/** What can be run, and is hardly meant, as text for people. */
export function describeWarning(warning: ConfigFault, cwd: string): string {
  return describeFault(described(warning), cwd)
}

/** The same as data, for `--json`. */
export function configWarnings(warnings: readonly ConfigFault[], cwd: string) {
  return warnings.map((warning) => told(described(warning), cwd))
}

function describedFaults(error: unknown): readonly Described[] | undefined {
  if (error instanceof ConfigError) return error.faults.map(described)
  if (error instanceof LoadError) return [{ message: error.message, hint: error.hint, place: error.source }]
  return undefined
}

function described({ message, hint, declaredAt, place }: ConfigFault): Described {
  return { message, hint, place: place ?? placeOf(declaredAt) }
}

function describedError(error: unknown): Described {
  const hint = error instanceof WeirError ? error.hint : undefined
  return { message: error instanceof Error ? error.message : String(error), hint, place: undefined }
}

function describeFault({ message, hint, place }: Described, cwd: string): string {
  const where =
    place === undefined ? [] : ['', `  at ${locate(place, cwd)}`, ...codeFrame(place).map((line) => `  ${line}`)]
  const mend = hint === undefined ? [] : ['', `  ${hint}`]
  return [message, ...where, ...mend].join('\n')
}

function locate({ file, line, column }: SourcePlace, cwd: string): string {
  return `${relative(cwd, file)}:${line}${column === undefined ? '' : `:${column}`}`
}
