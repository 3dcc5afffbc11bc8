import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exclusively, missingServer } from './server-support.js'

/** A server that is had from Maven Central. */
export interface JavaServer {
  readonly name: string
  readonly version: string
  readonly dependencies: readonly Dependency[]
}

/** With a packaging it is one file that holds all it needs. */
type Dependency = readonly [group: string, artifact: string, version: string, packaging?: Packaging]

interface Packaging {
  readonly type: string
  readonly classifier: string
}

/** Why such a server can't be started here; undefined when it can. Errors instead where real servers are required. */
export function missingJars(server: JavaServer): string | undefined {
  const reason = missing(server)
  if (reason !== undefined && process.env['WEIR_TEST_SERVERS'] === 'required')
    throw new Error(`starting ${server.name}: ${reason}`)
  return reason
}

function missing(server: JavaServer): string | undefined {
  if (!runs('java', '-version')) return 'java is missing: install a JRE of version 17 or newer'
  if (isComplete(server)) return undefined
  return missingServer({ name: 'Maven', debian: 'maven', isThere: () => runs('mvn', '-version') })
}

/** The folder of the server's jars, fetched from Maven Central at the first call. */
export function fetchJars(server: JavaServer): string {
  const lib = join(cacheOf(server), 'lib')
  exclusively(server.name.toLowerCase(), () => {
    if (!isComplete(server)) fetch(server, lib)
  })
  return lib
}

function fetch(server: JavaServer, lib: string): void {
  const cache = cacheOf(server)
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'pom.xml'), pomOf(server))
  execFileSync(
    'mvn',
    ['-q', '-B', '-f', join(cache, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${lib}`],
    { stdio: 'pipe' },
  )
  if (readdirSync(lib).length === 0) throw new Error(`fetching ${server.name}: Maven copied no jars`)
  writeFileSync(join(cache, 'complete'), server.version)
}

function isComplete(server: JavaServer): boolean {
  const complete = join(cacheOf(server), 'complete')
  return existsSync(complete) && readFileSync(complete, 'utf8') === server.version
}

/** Where what is fetched for a server is kept. */
export function cacheOf({ name }: JavaServer): string {
  return fileURLToPath(new URL(`../../node_modules/.cache/weir/${name.toLowerCase()}`, import.meta.url))
}

function pomOf({ name, dependencies }: JavaServer): string {
  const listed = dependencies.map(
    ([group, artifact, version, packaging]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>${packagingOf(packaging)}</dependency>`,
  )
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>weir</groupId><artifactId>${name.toLowerCase()}-for-tests</artifactId><version>1</version>
<dependencies>${listed.join('')}</dependencies>
</project>
`
}

function packagingOf(packaging: Packaging | undefined): string {
  if (packaging === undefined) return ''
  const alone = '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>'
  return `<type>${packaging.type}</type><classifier>${packaging.classifier}</classifier>${alone}`
}

function runs(command: string, argument: string): boolean {
  try {
    execFileSync(command, [argument], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
