import { execFileSync } from 'node:child_process'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { delimiter, join } from 'node:path'

export const isRoot = process.getuid?.() === 0
const isRequired = process.env['WEIR_TEST_SERVERS'] === 'required'

interface ServerPackage {
  readonly name: string
  /** The Debian package. */
  readonly debian: string
  isThere(): boolean
  /** What has to be done before it is installed. */
  prepare?(): void
}

/**
 * Why there is no such server here, or undefined when there is. Installs it where that can be done.
 * Errors instead when the tests' servers are required.
 */
export function missingServer(server: ServerPackage): string | undefined {
  if (server.isThere()) return undefined
  const reason =
    installed(server) ?? (server.isThere() ? undefined : `${server.name} was installed, but its programs are not found`)
  if (reason !== undefined && isRequired) throw new Error(`WEIR_TEST_SERVERS=required: ${reason}`)
  return reason
}

function installed({ name, debian, prepare }: ServerPackage): string | undefined {
  if (!isRoot) return `no ${name}: install the package \`${debian}\``
  try {
    prepare?.()
    apt('update')
    apt('install', '--yes', '--no-install-recommends', debian)
    return undefined
  } catch (error) {
    return `no ${name}, and installing it failed: ${error instanceof Error ? error.message : String(error)}`
  }
}

function apt(...args: string[]): void {
  execFileSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    stdio: 'pipe',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
}

/** The folders that programs are looked for in. */
export const searchPath = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']

export function findProgram(name: string): string | undefined {
  return searchPath.map((folder) => join(folder, name)).find(isExecutable)
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whom a server runs as that refuses to run as root. */
export function ownerOf(name: string): { uid: number; gid: number } | Record<string, never> {
  if (!isRoot) return {}
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const user = users.find(([user]) => user === name) ?? users.find(([user]) => user === 'nobody')
  return { uid: Number(user?.[2] ?? 65_534), gid: Number(user?.[3] ?? 65_534) }
}

export function childrenOf(parent: number): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && parentOf(pid) === parent)
  } catch {
    return []
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
