import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exclusively, missingServer } from './server-support.js'

const reading = ['pyarrow==26.0.1', 'fastavro[codecs]==1.13.1', 'pyiceberg[sql-sqlite]==0.12.0']
/** What a loop of `bench/` is written with. */
const looping = ['confluent-kafka==2.16.1', 'orjson==3.13.0']
const packages = [...reading, ...looping]
const folder = fileURLToPath(new URL('../../node_modules/.cache/weir/python', import.meta.url))
const stamp = join(folder, 'complete')

/** Python with what other programs read an archive with, and write one. */
export const python = join(folder, 'bin', 'python')

/** Why it can't be had here; undefined when it is there. Fetches it at the first call, or errors where it is required. */
export function missingPython(): string | undefined {
  if (isComplete()) return undefined
  const tool = {
    name: 'Python',
    debian: 'python3-venv',
    isThere: () => runs('python3', '-c', 'import ensurepip, venv'),
  }
  const reason = missingServer(tool) ?? exclusively('python', fetched)
  if (reason !== undefined && process.env['WEIR_TEST_SERVERS'] === 'required') throw new Error(reason)
  return reason
}

function fetched(): string | undefined {
  if (isComplete()) return undefined
  try {
    rmSync(folder, { recursive: true, force: true })
    execFileSync('python3', ['-m', 'venv', folder], { stdio: 'pipe' })
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]
    execFileSync(python, install, { stdio: 'pipe' })
    writeFileSync(stamp, packages.join(' '))
    return undefined
  } catch (error) {
    return `fetching ${packages.join(', ')}: ${error instanceof Error ? error.message : String(error)}`
  }
}

function isComplete(): boolean {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === packages.join(' ')
}

function runs(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
