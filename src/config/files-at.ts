import { readdirSync, type Stats, statSync } from 'node:fs'
import { join, parse, resolve } from 'node:path'

/** More would take too long; what is left out is not seen to change. */
const most = 10_000
const longestPath = 1_024

/**
 * What lies at a path, as text: the size and the time of each file, in folders too, of which hidden ones and those of packages
 * are left out. Empty where there is nothing. A relative path may begin in `directory` or in the working directory.
 */
export function filesAt(directory: string, path = '.'): string {
  if (path === '' || path.length > longestPath || path.includes('\0') || path.includes('\n')) return ''
  const found: string[] = []
  for (const place of new Set([resolve(directory, path), resolve(path)])) {
    // A route is written as the root of all files.
    if (parse(place).root !== place) list(place, found)
  }
  return found.join()
}

function list(path: string, found: string[]): void {
  const stats = statsOf(path)
  if (stats === undefined || found.length >= most) return
  if (!stats.isDirectory()) {
    found.push(`${path} ${stats.size} ${stats.mtimeMs}`)
    return
  }
  for (const name of namesIn(path)) if (!name.startsWith('.') && name !== 'node_modules') list(join(path, name), found)
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
