import { execFileSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { exclusively as exclusivelyAsync, exclusivelySync, take } from '../../scripts/lock.mjs'

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
  const reason = exclusively('packages', () => (server.isThere() ? undefined : installed(server)))
  if (reason !== undefined && isRequired) throw new Error(`WEIR_TEST_SERVERS=required: ${reason}`)
  return reason
}

function installed({ name, debian, prepare, isThere }: ServerPackage): string | undefined {
  if (!isRoot) return `no ${name}: install the package \`${debian}\``
  try {
    prepare?.()
    apt('update')
    apt('install', '--yes', '--no-install-recommends', debian)
    return isThere() ? undefined : `${name} was installed, but its programs are not found`
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

const ports = join(tmpdir(), 'weir-ports')

/**
 * A port that nobody has, and that the system lends to no connection meanwhile. It stays this process's own while a server
 * is down: clients that found another cluster there would go on with that.
 */
export async function freePort(): Promise<number> {
  const port = 10_000 + Math.floor(Math.random() * 20_000)
  mkdirSync(ports, { recursive: true })
  // A lock goes when its process has ended and another one asks for the port.
  if (!take(join(ports, String(port)))) return freePort()
  return (await isFree(port)) ? port : freePort()
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

const lockOf = (name: string) => join(tmpdir(), `weir-${name}.lock`)

/** Runs work while no other process on this machine runs any of that name: files of tests run side by side. */
export function exclusively<T>(name: string, work: () => T): T {
  return exclusivelySync(lockOf(name), work)
}

/** The same for work that takes so long that others of this process have to go on meanwhile. */
export function exclusive<T>(name: string, work: () => Promise<T>): Promise<T> {
  return exclusivelyAsync(lockOf(name), work)
}
