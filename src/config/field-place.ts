import { readFileSync } from 'node:fs'
import { ConfigError, type ConfigFault } from '../engine/config-error.js'

/**
 * The same faults, those that nobody could place put where the file has the field that they begin with: no stack knows where
 * a field of a plain object stands, and its text does.
 */
export function placed(faults: readonly ConfigFault[], file: string): ConfigError {
  const lines = textOf(file)
  return new ConfigError(
    faults.map((fault) => ({ ...fault, declaredAt: fault.declaredAt ?? at(file, lineOf(fault.message, lines)) })),
  )
}

/** Does work, and places the faults that it finds. Errors: `ConfigError`, and what the work throws. */
export function placing<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof ConfigError ? placed(error.faults, file) : error
  }
}

/** The line of the field, or else that of the export, counted from 1. */
function lineOf(message: string, lines: readonly string[]): number {
  const start = Math.max(
    0,
    lines.findIndex((line) => /^\s*export default\b/.test(line)),
  )
  const [, path = ''] = /^([\w.-]+):/.exec(message) ?? []
  let line = start
  for (const name of path.split('.').filter(Boolean)) {
    const found = lines.findIndex((text, index) => index >= line && hasField(text, name))
    if (found === -1) break
    line = found
  }
  return line + 1
}

function hasField(text: string, name: string): boolean {
  const at = text.search(new RegExp(`(^|[^\\w.-])(['"]?)${name.replaceAll('.', '\\.')}\\2\\s*[:,}]`))
  return at !== -1 && !/^\s*(\/\/|\*)/.test(text)
}

function textOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/)
  } catch {
    return []
  }
}

function at(file: string, line: number): Error {
  const error = new Error('declared here')
  error.stack = `${error.message}\n    at ${file}:${line}:1`
  return error
}
