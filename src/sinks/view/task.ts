import type { StandardSchemaV1 } from '@standard-schema/spec'
import {
  catchError,
  concat,
  concatMap,
  defer,
  EMPTY,
  filter,
  ignoreElements,
  merge,
  type Observable,
  take,
  tap,
  timer,
} from 'rxjs'
import { z } from 'zod'
import {
  Batch,
  describeError,
  PartitionMap,
  type PartitionTold,
  partitionName,
  recordFault,
  type SinkContext,
  type SinkTask,
  type StreamRecord,
  type ViewClaim,
  type ViewWrite,
} from '../../model/index.js'
import type { AnswerOf } from './answers.js'
import { checkedEntries, type EntriesOf, type ViewEntry } from './entries.js'
import { type Change, KeptView, type Outcome } from './kept-view.js'
import { Recent } from './recent.js'
import { viewRoutes } from './routes.js'

/** Streams of changes say something at most so often, ms. */
const everyMs = 250
/** How long after a failure the storage is left alone, ms. */
const restMs = 1_000
/** How often it is looked whether the storage still has what was written, ms. */
const verifyMs = 5_000
/** After how long without an epoch a process has to learn from others what there is, ms. */
const idleMs = 5_000

/** The options of a view, validated. */
export interface ViewSettings {
  readonly path: string
  readonly entries: EntriesOf
  readonly query?: StandardSchemaV1 | undefined
  readonly answer?: AnswerOf | undefined
  readonly storage: string
  readonly name: string
}

/** A view at work: puts what comes into its store, and that, once it is committed, where it is read. */
export class ViewTask implements SinkTask {
  readonly lifetime$: Observable<never>
  private readonly view: string
  private readonly task: string
  private readonly kept: KeptView
  private readonly recent: Recent
  private readonly joins: boolean
  /** What came in this epoch, by partition. */
  private changes = new Map<string, Map<string, Change>>()
  /** What this epoch made of it. */
  private outcomes = new Map<string, Outcome>()
  /** The generations under which parts were claimed, and whether they have to be written anew. */
  private claims = new Map<string, { readonly generation: number; readonly isStale: boolean }>()
  private verifiedAt: number
  private failedAt = Number.NEGATIVE_INFINITY
  private hasFailed = false
  /** The partitions of the running epoch, and which of them a result belongs to. */
  private told: readonly PartitionTold[] = []
  private parts = new PartitionMap<string>()
  /** When the last epoch ended, and whether it had all partitions. */
  private epochAt: number
  private hasAll = true

  constructor(
    private readonly options: ViewSettings,
    private readonly context: SinkContext,
  ) {
    const { app, flow, stage, views, clock, log } = context
    this.view = `${app}${options.path}`
    this.task = `${flow}.${stage}`
    this.joins = context.joins === true
    this.kept = new KeptView((codec) => context.store(options.name, codec))
    this.epochAt = clock.scheduler.now()
    this.verifiedAt = clock.scheduler.now()
    views.expect?.(this.view, this.task)
    this.recent = new Recent(views, this.view, clock, log)
    this.lifetime$ = merge(this.routes(), this.following())
  }

  open(): Observable<never> {
    this.claims.clear()
    return concat(
      this.context.views.open(),
      defer(() => {
        this.recent.opened()
        return EMPTY
      }),
    )
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      this.changes = new Map()
      this.outcomes = new Map()
      this.parts = new PartitionMap()
      this.told = this.context.time.told()
      const taken$ = records$.pipe(
        tap((record) => this.take(record)),
        ignoreElements(),
      )
      const claimed$ = this.joins ? this.each((part) => this.claim(part)) : EMPTY
      const joined$ = this.joins ? this.each((part) => this.join(part)) : EMPTY
      return concat(
        merge(taken$, claimed$),
        defer(() => this.settle()),
        joined$,
      )
    })
  }

  committed(): Observable<never> {
    const { clock, log } = this.context
    if (this.joins || clock.scheduler.now() - this.failedAt < restMs) return EMPTY
    return this.each((part) => this.publish(part)).pipe(
      tap({ complete: () => this.succeeded() }),
      catchError((error: unknown) => {
        // Whatever has come of it: the parts are claimed anew, and what is missing is found out.
        this.claims.clear()
        this.failedAt = clock.scheduler.now()
        if (!this.hasFailed) log.warn(`${describeError(error)}; it is tried again, and the flow goes on`)
        this.hasFailed = true
        return EMPTY
      }),
    )
  }

  private take(record: StreamRecord): void {
    if (!(record.value instanceof Batch)) return this.takeOne(record)
    for (const member of record.value.records) this.takeOne(member)
  }

  private takeOne(record: StreamRecord): void {
    let entries: readonly ViewEntry[]
    try {
      entries = checkedEntries(this.options.entries(record.value as never, record))
    } catch (error) {
      return this.context.reject(record, recordFault(error, `showing a record in view '${this.options.path}'`))
    }
    for (const entry of entries) this.put(entry, record)
  }

  private put({ table, key, value, expires = 0 }: ViewEntry, { origin }: StreamRecord): void {
    const part = this.partOf(origin)
    let changes = this.changes.get(part)
    if (changes === undefined) this.changes.set(part, (changes = new Map<string, Change>()))
    changes.set(`${Number(expires)} ${table}\0${key}`, { table, key, value, expires: Number(expires) })
  }

  /** The partition of a result is that of its group; what several have made lies in the first that is here. */
  private partOf({ topic, partition }: StreamRecord['origin']): string {
    let name = this.parts.get(topic, partition)
    if (name === undefined) this.parts.set(topic, partition, (name = this.findPart(topic, partition)))
    return name
  }

  private findPart(topic: string, partition: number): string {
    const { told } = this
    const exact = told.find((one) => one.topic === topic && one.partition === partition)
    const numbered = told.filter((one) => one.partition === partition)
    const found = exact ?? (numbered.length === 1 ? numbered[0] : [...told].sort(byName)[0])
    if (found === undefined) throw new TypeError('no partition is assigned')
    return partitionName(found)
  }

  /** Puts what came into the store. */
  private settle(): Observable<never> {
    const { time, clock } = this.context
    const { told } = this
    for (const part of told) {
      const changes = this.changes.get(partitionName(part))?.values() ?? []
      const outcome = this.kept.apply(part, changes, time.watermark())
      if (outcome !== undefined) this.outcomes.set(partitionName(part), outcome)
    }
    this.epochAt = clock.scheduler.now()
    this.hasAll = told.length >= (told[0]?.total ?? 1)
    return EMPTY
  }

  private claim(part: PartitionTold): Observable<never> {
    const name = partitionName(part)
    return defer(() => {
      if (this.claims.get(name)?.generation === part.generation) return EMPTY
      const expected = this.kept.sequence(part)
      return this.context.views.claim(this.claimOf(part)).pipe(
        tap((found) => this.claims.set(name, { generation: part.generation, isStale: found !== expected })),
        ignoreElements(),
      )
    })
  }

  /** Writes in the transaction of the epoch. */
  private join(part: PartitionTold): Observable<never> {
    return defer(() => {
      const name = partitionName(part)
      const isStale = this.claims.get(name)?.isStale === true
      // What is written has to be committed, and is not where nothing has changed.
      if (isStale && !this.outcomes.has(name)) this.kept.advance(part)
      return this.send(part, isStale)
    })
  }

  /** Writes what is committed. */
  private publish(part: PartitionTold): Observable<never> {
    const name = partitionName(part)
    const { generation } = part
    return defer(() => {
      if (this.claims.get(name)?.generation === generation && !this.isDue()) return this.send(part, false)
      return this.context.views.claim(this.claimOf(part)).pipe(
        concatMap((found) => {
          const expected = this.kept.sequence(part) - (this.outcomes.has(name) ? 1 : 0)
          this.claims.set(name, { generation, isStale: false })
          return this.send(part, found !== expected)
        }),
      )
    })
  }

  private send(part: PartitionTold, replaces: boolean): Observable<never> {
    const outcome = this.outcomes.get(partitionName(part))
    if (!replaces && outcome === undefined) return EMPTY
    const { views, clock } = this.context
    const write: ViewWrite = {
      ...this.claimOf(part),
      sequence: this.kept.sequence(part),
      replaces,
      rows: replaces ? this.kept.all(part) : (outcome?.rows ?? []),
      removed: replaces ? [] : (outcome?.removed ?? []),
      at: clock.now(),
    }
    const { joins, context } = this
    const transaction = joins ? context.transaction(context.connection('view')) : undefined
    return concat(
      views.write(write, transaction),
      defer(() => {
        this.claims.set(partitionName(part), { generation: part.generation, isStale: false })
        return EMPTY
      }),
    )
  }

  private isDue(): boolean {
    return this.context.clock.scheduler.now() - this.verifiedAt >= verifyMs
  }

  private succeeded(): void {
    const { clock, log } = this.context
    if (this.isDue()) this.verifiedAt = clock.scheduler.now()
    if (this.hasFailed) log.info(`view ${this.view} is written again`)
    this.hasFailed = false
  }

  private claimOf({ topic, partition, generation, total }: PartitionTold): ViewClaim {
    const { view, task } = this
    return { view, part: `${task} ${partitionName({ topic, partition })}`, generation, task, total }
  }

  private each(step: (part: PartitionTold) => Observable<never>): Observable<never> {
    return defer(() => concat(...this.told.map(step)))
  }

  private routes(): Observable<never> {
    const { path, answer, query, storage } = this.options
    const { http, clock, flow, stage } = this.context
    const about = { path, stream: `${path}/stream`, flow, stage, storage, parameters: parametersOf(query) }
    const { recent } = this
    const routes = viewRoutes({ path, answer, query, everyMs, recent, clock, about })
    return merge(...routes.map((route) => http.serve(route)))
  }

  /** Who has all partitions need not ask others what there is. */
  private following(): Observable<never> {
    const { views, clock } = this.context
    const followed$ = defer(() => views.follow?.(this.view) ?? EMPTY)
    if (views.follow === undefined) return followed$
    return timer(everyMs, everyMs, clock.scheduler).pipe(
      filter(() => !this.hasAll || clock.scheduler.now() - this.epochAt >= idleMs),
      take(1),
      concatMap(() => followed$),
    )
  }
}

/** The names of parameters, as far as their schema tells them, with what it says of each. */
function parametersOf(query: unknown): object {
  const top = 'how many of the largest keys of each table are shown'
  if (!(query instanceof z.ZodType)) return { top }
  const { properties = {} } = z.toJSONSchema(query, { io: 'input', unrepresentable: 'any' })
  const described = Object.entries(properties).map(([name, property]) => {
    return [name, typeof property === 'object' ? (property.description ?? '') : ''] as const
  })
  return Object.fromEntries([...described, ['top', top]])
}

function byName(one: PartitionTold, other: PartitionTold): number {
  return partitionName(one) < partitionName(other) ? -1 : 1
}
