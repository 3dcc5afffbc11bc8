import type { FlowState } from '../engine/index.js'
import { printableLine } from '../model/index.js'
import { clock, type FlowPicture, hasTable, hasView, makes } from './dashboard.js'
import { type Paint, table } from './paint.js'
import type { ViewTable } from './view-tables.js'

export interface Picture {
  readonly app: string
  readonly flows: readonly FlowPicture[]
  /** ms. */
  readonly uptime: number
  /** Counts the drawings. */
  readonly frame: number
  readonly now: number
  readonly port: number
  /** Of the port. Default: plain, on this machine. */
  readonly url?: string
  /** Servers that run inside the process, by the name of their connection. */
  readonly embedded: readonly string[]
  readonly hasTraffic: boolean
  /** How wide a line may be. */
  readonly columns?: number | undefined
  /** What the views of the process show. */
  readonly tables?: readonly ViewTable[]
}

/** An event for each path of the flows that ship; timestamps the shell fills in. */
const samples: Readonly<Record<string, string | undefined>> = {
  '/activity': `'{"user_id":"you","activity_type":"page_view","timestamp":"'$(date -u +%FT%TZ)'"}'`,
  '/events': `'{"eventType":"user_signup","userId":123}'`,
}

/** Of the lines of a table. */
const indent = 3

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

const look: Readonly<Record<FlowState, readonly [string, Parameters<Paint>[0]]>> = {
  starting: ['○', 'yellow'],
  assigning: ['◔', 'yellow'],
  idle: ['○', 'green'],
  running: ['●', 'green'],
  retrying: ['◌', 'red'],
  draining: ['◑', 'yellow'],
  stopped: ['○', 'dim'],
  failed: ['✗', 'red'],
}

/** What the view shows, as text. */
export function render(picture: Picture, paint: Paint): string {
  const lines = [
    heading(picture, paint),
    '',
    ...picture.flows.flatMap((flow) => [...flowLines(flow, picture, paint), '']),
    ...rowLines(picture, paint),
    ...tableLines(picture, paint),
    ...footer(picture, paint),
  ]
  return lines.map((line) => ` ${line}`.trimEnd()).join('\n')
}

// The first line is another in each drawing: log-update then draws the whole anew, while the parts that it would draw
// otherwise overwrite each other as soon as a line is added above one that stays.
function heading({ app, uptime, frame, embedded, hasTraffic }: Picture, paint: Paint): string {
  const notes = [
    `up ${duration(uptime)}`,
    ...(embedded.length > 0 ? [`embedded: ${embedded.join(', ')} (to try things, not to keep them)`] : []),
    ...(hasTraffic ? ['demo traffic'] : []),
  ]
  return `${paint('cyan', spinner[frame % spinner.length] ?? '')} ${paint('bold', 'weir')} ${paint('cyan', app)}  ${paint('dim', notes.join(' · '))}`
}

function flowLines(flow: FlowPicture, { now }: Picture, paint: Paint): string[] {
  const { status, topology } = flow
  const [symbol, style] = look[status.state]
  const ends = topology.summary.filter(({ kind }) => kind === 'source' || kind === 'sink')
  const path = [...new Set(ends.map(({ name, detail }) => detail ?? name))]
  const title = `${paint(style, symbol)} ${paint('bold', status.flow)} ${paint(style, status.state)}`
  return [
    `${title}  ${paint('dim', `${path.join(' → ')} · ${status.guarantee.replaceAll('-', ' ')}`)}`,
    `  ${figures(flow, now)
      .map(([name, value]) => `${paint('dim', name)} ${value}`)
      .join('   ')}  ${paint('cyan', sparkline(flow.history))}`,
    ...[status.error, status.trouble].flatMap((error) =>
      error ? [`  ${paint('red', printableLine(error.message))}`] : [],
    ),
  ]
}

function figures(
  { status, read, rate, rejected, keepsRejected, lag, closed, measured }: FlowPicture,
  now: number,
): (readonly [string, string])[] {
  const { watermark } = status
  const figures: (readonly [string, string] | undefined)[] = [
    ['in', count(read).padStart(7)],
    ['rate', `${count(Math.round(rate))}/s`.padStart(6)],
    ['lag', count(lag).padStart(3)],
    closed === undefined ? undefined : ['windows closed', count(closed)],
    watermark === undefined || closed === undefined
      ? undefined
      : ['watermark', `${clock(watermark)} (${Math.max(0, Math.round((now - watermark) / 1000))} s ago)`],
    ...measured,
    rejected === 0 ? undefined : [keepsRejected ? 'dead letters' : 'rejected', count(rejected)],
  ]
  return figures.filter((figure) => figure !== undefined)
}

/**
 * The last that flows have written which write to a table, aggregate, or make something of records: what others write is what
 * they read.
 */
function rowLines({ flows, columns }: Picture, paint: Paint): string[] {
  return flows.flatMap((flow) => {
    const { topology, closed, made, written } = flow
    const isTold = (closed ?? made) !== undefined || hasTable(topology)
    return isTold && !hasView(topology) ? written.flatMap((sink) => tableOf(flow, sink, columns, paint)) : []
  })
}

function tableOf(
  { topology, closed }: FlowPicture,
  { to, rows }: FlowPicture['written'][number],
  columns: number | undefined,
  paint: Paint,
): string[] {
  const title = paint('bold', `last ${makes(topology) ?? 'rows'} in ${to}`)
  const first = closed === undefined ? 'as soon as it is complete' : 'when a window closes'
  if (rows.length === 0) return [title, paint('dim', `  none yet: the first comes ${first}`), '']
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = [names, ...rows.map((row) => names.map((name) => row[name] ?? ''))]
  const [header = '', ...lines] = table(cells, columns === undefined ? columns : columns - indent)
  return [title, paint('dim', `  ${header}`), ...lines.map((line) => `  ${line}`), '']
}

/** What the views show, their tables side by side. */
function tableLines({ tables = [] }: Picture, paint: Paint): string[] {
  if (tables.length === 0) return []
  const blocks = tables.map(({ view, name, rows }) => {
    const values = rows.map(([, value]) => printableLine(value))
    const width = Math.max(0, ...values.map(({ length }) => length))
    const lines = rows.map(([key], row) => [(values[row] ?? '').padStart(width), shorten(key, 32)])
    return [[`${name} (${view})`], ...(lines.length === 0 ? [['nothing yet']] : lines)].map((line) => line.join('  '))
  })
  const height = Math.max(...blocks.map(({ length }) => length))
  const rows = Array.from({ length: height }, (_, row) => blocks.map((block) => block[row] ?? ''))
  const [header = '', ...lines] = table(rows)
  return [`  ${paint('bold', header)}`, ...lines.map((line) => `  ${line}`), '']
}

function shorten(text: string, length: number): string {
  const plain = text.replace(/\p{C}/gu, '?')
  return plain.length > length ? `${plain.slice(0, length - 1)}…` : plain
}

function footer({ flows, port, url: base = `http://localhost:${port}` }: Picture, paint: Paint): string[] {
  const posts = flows.flatMap(({ topology }) => postPaths(topology.summary))
  return [
    ...posts
      .flatMap((path) => curl(base, path))
      .map((line, index) => `${paint('dim', index === 0 ? 'post' : '    ')}   ${line}`),
    `${paint('dim', 'look')}   ${base}/health  ${base}/metrics`,
    `${paint('dim', 'stop')}   Ctrl-C`,
  ]
}

/** The paths that events can be posted to. */
export function postPaths(
  summary: readonly { readonly definition: string; readonly detail: string | undefined }[],
): string[] {
  const sources = summary.filter(({ definition }) => definition === 'http.post')
  return sources.flatMap(({ detail }) => detail?.replace(/^POST /, '') ?? [])
}

/** What posts one event, in two lines ready for a shell. */
export function curl(base: string, path: string): readonly string[] {
  const body = samples[path] ?? "'{ … }'"
  return [`curl ${base}${path} -H 'content-type: application/json' \\`, `  -d ${body}`]
}

function sparkline(values: readonly number[]): string {
  const highest = Math.max(1, ...values)
  return values.map((value) => bars[Math.min(bars.length - 1, Math.floor((value / highest) * bars.length))]).join('')
}

function count(value: number): string {
  return value.toLocaleString('en')
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  return `${String(minutes).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
}
