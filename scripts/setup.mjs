/**
 * Makes a fresh clone ready to run: dependencies, the native Kafka client, the compiled sources.
 * Plain Node without dependencies, because it runs before there are any. When nothing is to do it takes milliseconds.
 *
 *   setup.mjs           what is ready, and what to do about the rest
 *   lock.mjs            several are started at once, and one of them does it
 *   native-client.mjs   downloads or builds the Kafka client
 *   compile.mjs         src → dist, only what changed
 *   process.mjs         progress, child processes, and errors of one line
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compile } from './compile.mjs'
import { exclusively } from './lock.mjs'
import { clientLoads, installClient } from './native-client.mjs'
import { exitWith, npm, root, run, SetupError, tell } from './process.mjs'

const modules = join(root, 'node_modules')
const stampFile = join(modules, '.weir-setup')

/** Leaves the clone ready to run. Throws a `SetupError` that says in one line what is missing. */
export async function setup() {
  checkNode()
  const stamp = stampOf()
  if (!isStamped(stamp)) {
    mkdirSync(modules, { recursive: true })
    await exclusively(`${stampFile}.lock`, () => makeReady(stamp))
  }
  await compile()
}

async function makeReady(stamp) {
  // Who waited for another one finds it done.
  if (isStamped(stamp)) return
  const started = Date.now()
  if (!dependenciesMatch()) await installDependencies()
  if (!clientLoads()) await installClient()
  await compile({ anew: true })
  writeFileSync(stampFile, stamp)
  tell(`ready in ${Math.round((Date.now() - started) / 1000)} s; the next start skips all this`)
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new SetupError(`Weir needs Node 20.19 or newer, and this is ${process.versions.node}`)
}

/** Names all that an installation depends on: what is locked, and what its native parts were made for. */
function stampOf() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  return `${lock} ${process.platform}-${process.arch} abi ${process.versions.modules}\n`
}

function isStamped(stamp) {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp && clientLoads()
}

/** Whether npm already installed what the lock file names, by this script or by hand. */
function dependenciesMatch() {
  const installed = packagesOf(join(modules, '.package-lock.json'))
  const locked = Object.entries(packagesOf(join(root, 'package-lock.json')))
  return locked.every(([path, { version, optional }]) => {
    return path === '' || optional === true || installed[path]?.version === version
  })
}

function packagesOf(lockFile) {
  return existsSync(lockFile) ? JSON.parse(readFileSync(lockFile, 'utf8')).packages : {}
}

async function installDependencies() {
  // `npm ci` would refuse a lock file without the optional packages of other platforms, and would throw away a native
  // client that took a minute to build. Scripts are left out because only the Kafka client needs its own.
  const flags = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  await run('installing dependencies (half a minute)', [...npm(), 'install', ...flags])
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await setup().catch(exitWith)
