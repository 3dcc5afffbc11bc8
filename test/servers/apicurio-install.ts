import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cacheOf, fetchJars, type JavaServer, missingJars } from './maven-jars.js'
import { exclusively } from './server-support.js'

/** The last one that runs on Java 17. */
const version = '2.6.13.Final'
const apicurio: JavaServer = {
  name: 'Apicurio',
  version,
  dependencies: [['io.apicurio', 'apicurio-registry-app', version, { type: 'tar.gz', classifier: 'all' }]],
}

/** Why it can't be started here; undefined when it can. Errors instead where real servers are required. */
export function requireApicurio(): string | undefined {
  return missingJars(apicurio)
}

/** What Java has to have for a class path, and the class that it runs. Fetched from Maven Central at the first call. */
export function installApicurio(): string {
  const jars = fetchJars(apicurio)
  const folder = join(cacheOf(apicurio), `unpacked-${version}`)
  exclusively('apicurio-unpack', () => {
    if (existsSync(folder)) return
    const [archive = ''] = readdirSync(jars)
    const partial = `${folder}.partial`
    mkdirSync(partial, { recursive: true })
    execFileSync('tar', ['-xzf', join(jars, archive), '-C', partial], { stdio: 'pipe' })
    execFileSync('mv', [partial, folder])
  })
  return folder
}
