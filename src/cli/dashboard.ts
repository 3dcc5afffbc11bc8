import type { FlowStatus, FlowTopology, Observer, Topology } from '../engine/index.js'
import { Batch } from '../model/index.js'
import { bytesText } from './paint.js'

const rowsKept = 6
const secondsKept = 30

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
  /** The last that it has written. */
  readonly rows: readonly Row[]
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
  private readonly reads = new Map<string, { readonly at: number; readonly count: number }[]>()

  constructor(private readonly topology: Topology) {}

  readonly observer: Observer = {
    written: ({ flow, value }) => {
      const values: readonly unknown[] = value instanceof Batch ? value.values : [value]
      this.rows.set(flow, [...(this.rows.get(flow) ?? []), ...values.slice(-rowsKept).map(flatten)].slice(-rowsKept))
      this.made.set(flow, (this.made.get(flow) ?? 0) + 1)
    },
  }

  /** Call it once a second: it is what rates are made of. */
  sample(flows: readonly FlowStatus[], now: number): void {
    for (const status of flows) {
      const reads = this.reads.get(status.flow) ?? []
      this.reads.set(status.flow, [...reads, { at: now, count: readOf(status) }].slice(-secondsKept - 1))
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
      measured: measuredBy(status),
      // What a view is made of is no table yet; what it shows is.
      rows: hasView(topology) ? [] : (this.rows.get(status.flow) ?? []),
    }
  }
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

function measuredBy({ metrics = [] }: FlowStatus): [string, string][] {
  const sums = new Map<string, { readonly name: string; sum: number }>()
  for (const { metric, value } of metrics) {
    if (metric.shown === undefined || typeof value !== 'number') continue
    const known = sums.get(metric.shown) ?? { name: metric.name, sum: 0 }
    known.sum += value
    sums.set(metric.shown, known)
  }
  const text = (name: string, sum: number) => (/_bytes(_|$)/.test(name) ? bytesText(sum) : sum.toLocaleString('en'))
  return [...sums].map(([shown, { name, sum }]) => [shown, text(name, sum)])
}

/** `{ window: { start, end }, value: { views: 2 } }` becomes `{ window: '10:00:00 – 10:00:30', views: '2' }`. */
function flatten(value: unknown): Row {
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

function cell(field: unknown): string {
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
