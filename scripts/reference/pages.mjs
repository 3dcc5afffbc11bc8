/** The Markdown of docs/reference: a page for each stage and connection, the command, the errors, and a table of contents. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../process.mjs'
import { definitionsIn } from './definitions.mjs'
import { optionsOf } from './options.mjs'
import { signaturesIn } from './signatures.mjs'

const titles = { sources: 'Sources', operators: 'Operators', sinks: 'Sinks', connectors: 'Connections' }

/** Paths below docs/reference, and their texts. */
export async function allPages() {
  const sections = await Promise.all(Object.keys(titles).map(async (folder) => [folder, await definitionsIn(folder)]))
  const pages = new Map([
    ['cli.md', cliPage()],
    ['errors.md', await errorsPage()],
  ])
  for (const [folder, definitions] of sections) {
    for (const [file, ofFile] of groupByFile(definitions)) pages.set(`${folder}/${file}.md`, page(folder, file, ofFile))
  }
  return pages.set('README.md', contents(sections))
}

function groupByFile(definitions) {
  const files = [...new Set(definitions.map(({ file }) => file))]
  return files.map((file) => [file, definitions.filter((definition) => definition.file === file)])
}

function page(folder, file, definitions) {
  const called = signaturesIn(folder, file, prefixOf(definitions[0].definition))
  return joined([
    `# ${definitions.map(({ definition }) => titleOf(definition)).join(', ')}`,
    ...definitions.map(({ definition }) => definition.summary),
    ...called.flatMap(({ signatures, comment }) => ['```ts', ...signatures, '```', '', comment].join('\n')),
    ...definitions.flatMap(({ definition }) => aboutDefinition(definition, definitions.length > 1)),
  ])
}

/** `kafka.source` is called so, and not by the name that it has in its file. */
function prefixOf({ name = '' }) {
  return name.includes('.') ? name.slice(0, name.indexOf('.') + 1) : ''
}

function titleOf({ name, kind }) {
  return name ?? kind
}

function aboutDefinition(definition, several) {
  const rows = optionsOf(definition.options)
  const heading = several ? `## Options of ${titleOf(definition)}` : '## Options'
  return [
    ...facts(definition),
    heading,
    rows.length === 0 ? 'None.' : table(['option', 'type', 'default', ''], rows.map(optionRow)),
    ...aboutMetrics(definition),
  ]
}

function aboutMetrics({ metrics = [] }) {
  if (metrics.length === 0) return []
  const rows = metrics.map(({ name, kind, labels = {}, help }) => {
    return [`\`weir_${name}\``, kind, ['flow', 'stage', ...Object.keys(labels)].join(', '), help]
  })
  return ['## Metrics', table(['metric', 'kind', 'labels', ''], rows)]
}

function facts({ kind, replayable, connection, onError, global }) {
  return [
    connection && `It needs a connection of kind \`${connection}\`.`,
    kind === 'source' && `It ${replayable ? 'can' : 'can not'} go back to an earlier position after a failure.`,
    typeof onError === 'string' && `A record that it rejects: \`${onError}\`, unless \`onError\` says otherwise.`,
    global && 'Its results need all partitions of the source in one place.',
  ].filter((fact) => typeof fact === 'string')
}

function optionRow({ name, type, fallback, optional, description = '' }) {
  return [`\`${name}\``, type, fallback ?? (optional ? '' : 'required'), description]
}

async function errorsPage() {
  const { errorCodes } = await import(pathToFileURL(join(root, 'dist/model/errors.js')).href)
  const rows = Object.entries(errorCodes).map(([code, [remedy, fault, meaning]]) => [
    `\`${code}\``,
    remedy,
    fault,
    meaning,
  ])
  return joined([
    '# Errors',
    "Every error has one of these codes. Its remedy is what Weir does about it: `retry` replays the epoch, `restart` builds the task anew (its source and sinks too), `stop` ends the flow. Other flows go on. A `record` fault is tried again as often as the flow's `attempts` say, with the same records; a `system` fault for as long as it lasts.",
    table(['code', 'remedy', 'fault', 'meaning'], rows),
  ])
}

function cliPage() {
  const overview = helpOf([])
  const names = [...overview.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name).filter((name) => name !== 'help')
  const commands = names.flatMap((name) => [`## weir ${name}`, fenced(helpOf([name]))])
  const codes = table(
    ['code', 'meaning'],
    [
      ['0', 'all went well, or the worker was asked to stop and did'],
      ['1', 'a flow failed'],
      ['2', 'the command line is wrong'],
      ['78', 'the configuration is wrong'],
      ['130, 143', 'a second SIGINT or SIGTERM came before the flows had drained'],
    ],
  )
  return joined(['# The weir command', fenced(overview), ...commands, '## Exit codes', codes])
}

function helpOf(command) {
  const cli = join(root, 'dist/cli/bin.js')
  return execFileSync(process.execPath, [cli, ...command, '--help'], { encoding: 'utf8' })
}

function fenced(text) {
  return `\`\`\`\n${text.trimEnd()}\n\`\`\``
}

function contents(sections) {
  const lists = sections
    .filter(([, definitions]) => definitions.length > 0)
    .flatMap(([folder, definitions]) => [`## ${titles[folder]}`, definitions.map(entry).join('\n')])
  return joined([
    '# Reference',
    'Generated from the definitions of the stages: `npm run reference`.',
    ...lists,
    '## More',
    '- [The weir command](cli.md)\n- [Errors](errors.md)',
  ])
}

function entry({ folder, file, definition }) {
  return `- [${titleOf(definition)}](${folder}/${file}.md): ${definition.summary}`
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function joined(paragraphs) {
  return `${paragraphs.join('\n\n')}\n`
}
