/** The native Kafka client: a prebuilt binary where one is in reach, else built from source. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { npm, root, run, SetupError, succeeds, tell } from './process.mjs'

const require = createRequire(import.meta.url)
const client = '@confluentinc/kafka-javascript'
const folder = join(root, 'node_modules', client)

const debianPackages = [
  ...['g++', 'make', 'python3', 'ca-certificates'],
  ...['libcurl4-openssl-dev', 'libssl-dev', 'libsasl2-dev', 'zlib1g-dev', 'libzstd-dev', 'liblz4-dev'],
]
const headers = ['curl/curl.h', 'openssl/ssl.h', 'sasl/sasl.h', 'zlib.h', 'zstd.h', 'lz4.h']

/** Whether the client is there, for this Node and this machine. */
export function clientLoads() {
  try {
    require(join(folder, 'build/Release/confluent-kafka-javascript.node'))
    return true
  } catch {
    return false
  }
}

export async function installClient() {
  if (await download()) return
  if (!canCompile()) await installHeaders()
  const source = [...npm(), 'rebuild', client, '--foreground-scripts']
  await run('building the native Kafka client from source (one to three minutes)', source, { env: buildEnvironment() })
  if (!clientLoads()) throw new SetupError(`the native Kafka client was built but does not load: see ${folder}/build`)
}

async function download() {
  const tool = join(root, 'node_modules/@mapbox/node-pre-gyp/bin/node-pre-gyp')
  const install = [process.execPath, tool, 'install']
  try {
    await run('fetching the native Kafka client', install, { cwd: folder, timeoutMs: 120_000 })
    return clientLoads()
  } catch {
    tell('no prebuilt client is in reach')
    return false
  }
}

function canCompile() {
  const program = headers.map((header) => `#include <${header}>\n`).join('')
  const compiler = process.env.CXX ?? 'g++'
  return (
    succeeds(compiler, ['-fsyntax-only', '-x', 'c++', '-'], `#include <cstdio>\n${program}`) &&
    succeeds('make', ['--version']) &&
    succeeds('python3', ['--version'])
  )
}

async function installHeaders() {
  const apt = aptGet()
  if (apt === undefined) throw new SetupError(`to build the native Kafka client, first run: ${adviceForHeaders()}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const packages = ['install', '-y', '--no-install-recommends', ...debianPackages]
  try {
    await run('updating the list of Debian packages', [...apt, 'update'], { env })
    await run('installing a compiler and headers (apt-get)', [...apt, ...packages], { env })
  } catch (error) {
    throw new SetupError(`${error.message}. To build the native Kafka client, first run: ${adviceForHeaders()}`)
  }
}

/** How apt-get can be run here without asking anybody, if it can. */
function aptGet() {
  if (!succeeds('apt-get', ['--version'])) return undefined
  if (process.getuid?.() === 0) return ['apt-get']
  return succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n', 'apt-get'] : undefined
}

function adviceForHeaders() {
  if (process.platform === 'darwin') return 'xcode-select --install; brew install openssl@3 curl cyrus-sasl zstd lz4'
  return `sudo apt-get install -y ${debianPackages.join(' ')} (or what your system calls them)`
}

function buildEnvironment() {
  const env = { ...process.env, CKJS_LINKING: 'dynamic', npm_config_build_from_source: client }
  // A parallel make breaks librdkafka's own build.
  delete env.MAKEFLAGS
  delete env.JOBS
  // The headers beside this Node, so that node-gyp need not download them.
  const prefix = dirname(dirname(process.execPath))
  if (existsSync(join(prefix, 'include/node/node.h'))) env.npm_config_nodedir ??= prefix
  return env
}
