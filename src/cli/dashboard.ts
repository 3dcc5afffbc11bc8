import { plainText } from '../codecs/utf8.js'
import { headerBytes } from '../codecs/wire-format.js'
import type { FlowStatus, FlowTopology, Observer, Topology } from '../engine/index.js'
import { Batch, Distribution, type StageMetric } from '../model/index.js'
import { bytesText } from './paint.js'

const rowsKept = 6
const secondsKept = 30
/** Over how many seconds paces and what 99 of a hundred stay below are told. */
const secondsMeasured = 10
/** Sinks whose rows people look for in the table that they are in. */
const tableSinks = ['postgres.sink', 'mysql.sink']

/** A row that a sink wrote, flat, as a table can show it. */
export type Row = Readonly<Record<string, string>>

/** What the view shows of one flow. */
export interface FlowPicture {
  readonly status: FlowStatus
  readonly topology: FlowTopology
  /** Records that its sources gave, all together and a second. */
  readonly read: number
  readonly rate: number
  /** Records a second over the last half minute, the latest last. */
  readonly history: readonly number[]
  readonly rejected: number
  readonly lag: number
  /** Results of its aggregates; undefined for a flow that has none. */
  readonly closed: number | undefined
  /** How many things its sinks have made in place of rows; undefined where they make none. */
  readonly made: number | undefined
  /** What its stages measure of themselves, as text for people. */
  readonly measured: readonly (readonly [name: string, value: string])[]
  /** Whether what it rejects goes to the dead letters. */
  readonly keepsRejected: boolean
  /** The last that it has written, and the same by the sinks that wrote it. */
  readonly rows: readonly Row[]
  readonly written: readonly { readonly to: string; readonly rows: readonly Row[] }[]
}

/** What a flow has made, and how much more than is told of. */
export interface News {
  readonly flow: string
  /** What it is, in the plural. */
  readonly what: string
  readonly rows: readonly Row[]
  readonly more: number
}

/** Keeps what a view needs beyond the status of the moment: rates, and the last rows. */
export class Dashboard {
  private readonly rows = new Map<string, Row[]>()
  private readonly made = new Map<string, number>()
  private readonly told = new Map<string, number>()
  private readonly byStage = new Map<string, Row[]>()
  private readonly reads = new Map<string, { readonly at: number; readonly count: number }[]>()
  private readonly measures = new Map<string, Measures[]>()

  constructor(private readonly topology: Topology) {}

  readonly observer: Observer = {
    written: ({ flow, stage, value }) => {
      const values: readonly unknown[] = value instanceof Batch ? value.values : [value]
      const rows = values.slice(-rowsKept).map(flatten)
      keep(this.rows, flow, rows)
      keep(this.byStage, `${flow} ${stage}`, rows)
      this.made.set(flow, (this.made.get(flow) ?? 0) + 1)
    },
  }

  /** Call it once a second: it is what rates are made of. */
  sample(flows: readonly FlowStatus[], now: number): void {
    for (const status of flows) {
      const reads = this.reads.get(status.flow) ?? []
      this.reads.set(status.flow, [...reads, { at: now, count: readOf(status) }].slice(-secondsKept - 1))
      const measures = this.measures.get(status.flow) ?? []
      this.measures.set(status.flow, [...measures, measuresOf(status, now)].slice(-secondsMeasured - 1))
    }
  }

  pictures(flows: readonly FlowStatus[]): readonly FlowPicture[] {
    return flows.flatMap((status) => {
      const topology = this.topology.flows.find(({ name }) => name === status.flow)
      return topology === undefined ? [] : [this.picture(status, topology)]
    })
  }

  /** Of each flow that has made something, how to look at it. */
  lookups(): readonly { readonly flow: string; readonly commands: readonly string[] }[] {
    return this.topology.flows.flatMap(({ name: flow, summary }) => {
      const commands = summary.flatMap(({ shows = [] }) => shows)
      return commands.length === 0 || !this.made.has(flow) ? [] : [{ flow, commands }]
    })
  }

  /** What was made since this was last asked, or the last of it and how much more there was. */
  news(): readonly News[] {
    return this.topology.flows.flatMap((topology) => {
      const { name: flow } = topology
      const what = makes(topology)
      const count = (this.made.get(flow) ?? 0) - (this.told.get(flow) ?? 0)
      if (what === undefined || count === 0) return []
      this.told.set(flow, this.made.get(flow) ?? 0)
      const rows = (this.rows.get(flow) ?? []).slice(-count)
      return [{ flow, what, rows, more: count - rows.length }]
    })
  }

  private picture(status: FlowStatus, topology: FlowTopology): FlowPicture {
    const history = ratesOf(this.reads.get(status.flow) ?? [])
    const recent = history.slice(-3)
    return {
      status,
      topology,
      read: readOf(status),
      rate: recent.length === 0 ? 0 : recent.reduce((sum, rate) => sum + rate, 0) / recent.length,
      history,
      rejected: status.stages.reduce((sum, { rejected }) => sum + rejected, 0),
      lag: status.partitions.reduce((sum, { end, offset }) => sum + Math.max(0, end - offset), 0),
      closed: closedBy(status, topology),
      made: makes(topology) === undefined ? undefined : (this.made.get(status.flow) ?? 0),
      measured: measuredBy(status, this.measures.get(status.flow) ?? []),
      keepsRejected: topology.deadLetters !== undefined,
      // What a view is made of is no table yet; what it shows is.
      rows: hasView(topology) ? [] : (this.rows.get(status.flow) ?? []),
      written: topology.summary
        .filter(({ kind }) => kind === 'sink')
        .map(({ name, detail }) => ({ to: detail ?? name, rows: this.byStage.get(`${status.flow} ${name}`) ?? [] })),
    }
  }
}

/** The last of what there is under a name. */
function keep(rows: Map<string, Row[]>, name: string, more: readonly Row[]): void {
  rows.set(name, [...(rows.get(name) ?? []), ...more].slice(-rowsKept))
}

/** Whether it writes rows to tables. */
export function hasTable({ summary }: FlowTopology): boolean {
  return summary.some(({ definition }) => tableSinks.includes(definition))
}

export function hasView({ summary }: FlowTopology): boolean {
  return summary.some(({ definition }) => definition === 'view')
}

/** What a flow makes that is no row of each record, in the plural. */
export function makes({ summary }: FlowTopology): string | undefined {
  return summary.find((stage) => stage.makes !== undefined)?.makes
}

function readOf({ stages }: FlowStatus): number {
  return stages.reduce((sum, { kind, out }) => (kind === 'source' ? sum + out : sum), 0)
}

function ratesOf(reads: readonly { at: number; count: number }[]): number[] {
  return reads.slice(1).map(({ at, count }, index) => {
    const before = reads[index] ?? { at, count }
    return at === before.at ? 0 : Math.max(0, ((count - before.count) * 1000) / (at - before.at))
  })
}

function closedBy({ stages }: FlowStatus, { summary }: FlowTopology): number | undefined {
  const aggregates = summary.filter(({ definition }) => definition === 'aggregate').map(({ name }) => name)
  if (aggregates.length === 0) return undefined
  return stages.reduce((sum, { stage, out }) => (aggregates.includes(stage) ? sum + out : sum), 0)
}

/** What is measured at a moment, by what the view calls it. */
interface Measures {
  readonly at: number
  readonly all: ReadonlyMap<string, Measure>
}

interface Measure {
  readonly metric: StageMetric
  sum: number
  /** Of a histogram: how many were within each bound, and beyond the last one. */
  readonly counts: number[]
  readonly bounds: readonly number[]
}

function measuresOf({ metrics = [] }: FlowStatus, at: number): Measures {
  const all = new Map<string, Measure>()
  for (const { metric, value } of metrics) {
    if (metric.shown === undefined) continue
    const bounds = value instanceof Distribution ? value.bounds : []
    const measure = all.get(metric.shown) ?? { metric, sum: 0, counts: [...bounds.map(() => 0), 0], bounds }
    all.set(metric.shown, measure)
    if (typeof value === 'number') measure.sum += value
    else addCounts(measure.counts, value)
  }
  return { at, all }
}

function addCounts(counts: number[], { counts: more, count, bounds }: Distribution): void {
  const beyond = count - more.reduce((sum, each) => sum + each, 0)
  for (const [index, each] of [...more, beyond].entries()) counts[Math.min(index, bounds.length)]! += each
}

function measuredBy(status: FlowStatus, before: readonly Measures[]): [string, string][] {
  const [first] = before
  const now = measuresOf(status, before.at(-1)?.at ?? 0)
  return [...now.all].map(([shown, measure]) => [
    shown,
    measureText(measure, first?.all.get(shown), now.at - (first?.at ?? 0)),
  ])
}

function measureText({ metric, sum, counts, bounds }: Measure, before: Measure | undefined, ms: number): string {
  if (metric.kind === 'histogram')
    return highText(
      bounds,
      counts.map((count, index) => count - (before?.counts[index] ?? 0)),
    )
  if (metric.pace === true)
    return `${Math.round(ms === 0 ? 0 : ((sum - (before?.sum ?? 0)) * 1_000) / ms).toLocaleString('en')}/s`
  return /_bytes(_|$)/.test(metric.name) ? bytesText(sum) : sum.toLocaleString('en')
}

/** What 99 of a hundred stay below, in seconds as they are told: as if those within a bound were spread evenly. */
function highText(bounds: readonly number[], counts: readonly number[]): string {
  const all = counts.reduce((sum, count) => sum + count, 0)
  let left = 0.99 * all
  for (const [index, bound] of bounds.entries()) {
    const count = counts[index] ?? 0
    const below = bounds[index - 1] ?? 0
    if (count > 0 && left <= count) return secondsText(below + ((bound - below) * left) / count)
    left -= count
  }
  return all === 0 ? '–' : `over ${secondsText(bounds.at(-1) ?? 0)}`
}

function secondsText(seconds: number): string {
  return seconds < 1 ? `${Math.ceil(seconds * 1_000)} ms` : `${seconds.toFixed(1)} s`
}

/** `{ window: { start, end }, value: { views: 2 } }` becomes `{ window: '10:00:00 – 10:00:30', views: '2' }`. */
function flatten(given: unknown): Row {
  const value = readable(given)
  if (!isObject(value)) return { value: cell(value) }
  const { window, value: inner, ...rest } = value
  const fields = isWindow(window) ? { ...rest, ...(isObject(inner) ? inner : { value: inner }) } : value
  const shown = Object.entries(fields).filter(([, field]) => field !== undefined && field !== null)
  const cells = Object.fromEntries(shown.map(([name, field]) => [name, cell(field)]))
  return {
    ...(isWindow(window) ? { window: `${clock(window.start)} – ${clock(window.end)}` } : {}),
    ...cells,
  }
}

/** Bytes as what they say: JSON, also behind the number of a schema, or text. */
function readable(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const said = plainText(bytes[0] === 0 ? bytes.subarray(headerBytes) : bytes)
  if (said === undefined) return `${bytes.length} bytes`
  try {
    return JSON.parse(said) as unknown
  } catch {
    return said
  }
}

function cell(given: unknown): string {
  const field = readable(given)
  if (field instanceof Date) return `${field.toLocaleDateString('sv')} ${clock(field)}`
  return typeof field === 'string' ? field : (JSON.stringify(field) ?? typeof field)
}

/** The local time of day of an event time. */
export function clock(time: number | Date): string {
  return new Date(time).toTimeString().slice(0, 8)
}

function isWindow(value: unknown): value is { readonly start: number | Date; readonly end: number | Date } {
  return isObject(value) && 'start' in value && 'end' in value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !(value instanceof Date)
}
