/**
 * Writes docs/api/weirflow.api.md, everything that users can name and its types, and fails when that changed it: a
 * change of the API is seen in review. Needs the declarations that `npm run build` leaves in dist.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'
import { root } from './process.mjs'

const report = join(root, 'docs/api/weirflow.api.md')

mkdirSync(join(root, 'docs/api'), { recursive: true })
const before = read()
const config = ExtractorConfig.loadFileAndPrepare(join(root, 'api-extractor.json'))
const { errorCount } = Extractor.invoke(config, { localBuild: true, messageCallback: quieten })
const isChanged = read() !== before
if (isChanged) console.error('docs/api/weirflow.api.md was out of date')
process.exitCode = errorCount === 0 && !isChanged ? 0 : 1

function read() {
  return existsSync(report) ? readFileSync(report, 'utf8') : ''
}

/** Only what fails is worth a line: the report itself lists the warnings. */
function quieten(message) {
  if (message.logLevel !== 'error') message.handled = true
}
