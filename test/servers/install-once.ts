import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { exclusive } from './server-support.js'

/** A server that is had from a registry of packages, and kept. */
export interface Installation {
  readonly name: string
  readonly version: string
  /** What fetches and builds it, in its folder. */
  readonly command: readonly [program: string, ...args: string[]]
  readonly environment?: (folder: string) => Readonly<Record<string, string>>
}

const run = promisify(execFile)
const cache = fileURLToPath(new URL('../../node_modules/.cache/weir/', import.meta.url))

/** Why it can't be had here; undefined when it can. Errors instead where real servers are required. */
export async function missingInstallation(installation: Installation): Promise<string | undefined> {
  const { name, command } = installation
  if (isComplete(installation)) return undefined
  const [program] = command
  const reason = await run(program, [program === 'go' ? 'version' : '--version']).then(
    () => undefined,
    () => `no ${name}: \`${program}\` is missing`,
  )
  if (reason !== undefined && process.env['WEIR_TEST_SERVERS'] === 'required') throw new Error(reason)
  return reason
}

/** Its folder; installs it at the first call, which takes minutes. */
export async function installOnce(installation: Installation): Promise<string> {
  const { name, version, command, environment } = installation
  const folder = folderOf(installation)
  await exclusive(`install-${name}`, async () => {
    if (isComplete(installation)) return
    mkdirSync(folder, { recursive: true })
    const [program, ...args] = command
    await run(program, args, { cwd: folder, env: { ...process.env, ...environment?.(folder) }, maxBuffer: 1e8 })
    writeFileSync(join(folder, 'complete'), version)
  })
  return folder
}

function folderOf({ name }: Installation): string {
  return join(cache, name)
}

function isComplete(installation: Installation): boolean {
  const complete = join(folderOf(installation), 'complete')
  return existsSync(complete) && readFileSync(complete, 'utf8') === installation.version
}
