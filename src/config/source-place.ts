import { readFileSync } from 'node:fs'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SourcePlace } from '../model/index.js'

const packageRoot = fileURLToPath(new URL('../../', import.meta.url))
/** This package's own code, as it runs and as source maps tell it; the flows that ship with it are the user's to read. */
const ownFolders = [`${packageRoot}src${sep}`, `${packageRoot}dist${sep}`]
const shippedFlows = `${packageRoot}src${sep}flows${sep}`

const framePattern = /(?:\(|at (?:async )?)((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):(\d+):\d+\)?$/

/**
 * The first frame of a stack that is code of the user. The column is left out: the loader that strips the types keeps
 * lines, but not columns.
 */
export function placeOf(error: Error | undefined): SourcePlace | undefined {
  for (const line of error?.stack?.split('\n') ?? []) {
    const match = framePattern.exec(line.trim())
    if (match?.[1] === undefined) continue
    const file = match[1].startsWith('file://') ? fileURLToPath(match[1]) : match[1]
    if (isUserCode(file)) return { file, line: Number(match[2]) }
  }
  return undefined
}

function isUserCode(file: string): boolean {
  if (file.includes(`${sep}node_modules${sep}`)) return false
  return file.startsWith(shippedFlows) || !ownFolders.some((folder) => file.startsWith(folder))
}

/** The lines round a place, the line itself marked; empty when the file can't be read. */
export function codeFrame({ file, line, column }: SourcePlace, around = 2): string[] {
  const lines = linesOf(file)
  const first = Math.max(1, line - around)
  const last = Math.min(lines.length, line + around)
  const width = String(last).length
  const frame: string[] = []
  for (let number = first; number <= last; number++) {
    const mark = number === line ? '>' : ' '
    frame.push(`${mark} ${String(number).padStart(width)} | ${lines[number - 1] ?? ''}`.trimEnd())
    if (number === line && column !== undefined) frame.push(`  ${' '.repeat(width)} | ${' '.repeat(column - 1)}^`)
  }
  return frame
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/)
  } catch {
    return []
  }
}
