import { concat, concatMap, from, ignoreElements, map, type Observable, reduce, tap, toArray } from 'rxjs'
import { type CheckpointStore, type CodecVersion, type HeldPartition, WeirError } from '../model/index.js'
import { isSameVersion, readStored, type StoredStore, type TaskStores, unclaimedHint } from '../state/index.js'
import type { ConfigFault } from './config-error.js'
import type { SubTopology, Topology } from './topology.js'

/** The stores of a task as they are declared, and the name of what keeps their checkpoints. */
export interface KeptState {
  readonly flow: string
  readonly task: string
  readonly where: string
  readonly part: SubTopology
  readonly stores: TaskStores
}

/** What is stored of one store of a task, over all its partitions. */
export interface StoredState {
  /** The connection that keeps it. */
  readonly where: string
  readonly task: string
  readonly store: string
  readonly partitions: number
  readonly keys: number
  /** How much of the log is this store's, live or not. */
  readonly bytes: number
  /** The codec versions that it was written under. */
  readonly versions: readonly CodecVersion[]
}

/**
 * What becomes of a store: `kept` as it is, `converted` from an older version of its codec, `new` and empty, `dropped`
 * with state in it, which is refused, unless it is `given up`, or `unused`: left where it is by a flow that is not
 * declared, or keeps its state elsewhere.
 */
export type StateFate = 'kept' | 'converted' | 'new' | 'dropped' | 'given up' | 'unused'

export interface StateChange extends StoredState {
  readonly flow: string | undefined
  readonly fate: StateFate
  /** The version that its codec has now. */
  readonly version: CodecVersion | undefined
}

/** Reads everything that a checkpoint store has of an app, one partition at a time. Creates what the store needs. */
export function surveyState(checkpoints: CheckpointStore, where: string, app: string): Observable<StoredState[]> {
  return concat(checkpoints.open(), checkpoints.list(app)).pipe(
    toArray(),
    concatMap((held) => statesOf(held.flat(), checkpoints, where)),
  )
}

function statesOf(
  held: readonly HeldPartition[],
  checkpoints: CheckpointStore,
  where: string,
): Observable<StoredState[]> {
  return from(held).pipe(
    concatMap((partition) => readStored(checkpoints, partition)),
    reduce(
      (totals, stored) => totals.set(`${stored.held.task} ${stored.store.name}`, addUp(totals, stored, where)),
      empty(),
    ),
    map((totals) => [...totals.values()].sort(byName)),
  )
}

function empty(): Map<string, StoredState> {
  return new Map()
}

function addUp(totals: ReadonlyMap<string, StoredState>, stored: StoredStore, where: string): StoredState {
  const { held, store, bytes, versions } = stored
  const before = totals.get(`${held.task} ${store.name}`)
  const known = before?.versions ?? []
  return {
    where,
    task: held.task,
    store: store.name,
    partitions: (before?.partitions ?? 0) + 1,
    keys: (before?.keys ?? 0) + store.size,
    bytes: (before?.bytes ?? 0) + bytes,
    versions: [...known, ...versions.filter((version) => !known.some((one) => isSameVersion(one, version)))],
  }
}

function byName(one: StoredState, other: StoredState): number {
  return one.task === other.task ? compare(one.store, other.store) : compare(one.task, other.task)
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

/** What running this topology would do to what is stored. Tasks that read an embedded broker end with their process. */
export function planState(
  topology: Topology,
  kept: readonly KeptState[],
  stored: readonly StoredState[],
): StateChange[] {
  const declared = kept.flatMap((state) => state.stores.names.map((store) => ({ ...state, store })))
  const isThere = (where: string, task: string, store: string) =>
    stored.some((one) => one.where === where && one.task === task && one.store === store)
  const added = declared
    .filter(({ where, task, store }) => !isThere(where, task, store))
    .map(({ flow, where, task, store, stores }): StateChange => {
      const nothing = { partitions: 0, keys: 0, bytes: 0, versions: [] }
      return { flow, where, task, store, ...nothing, fate: 'new', version: stores.codecOf(store)?.version }
    })
  const met = stored
    .filter(({ task }) => !isVolatile(task))
    .map((state): StateChange => {
      const flow = flowOf(state.task, topology)
      const version = kept.find(({ task }) => task === state.task)?.stores.codecOf(state.store)?.version
      return { ...state, flow, version, fate: fateOf(state, flow, version, topology) }
    })
    .filter(({ fate, keys }) => keys > 0 || fate === 'kept' || fate === 'converted')
  return [...met, ...added].sort(byName)
}

function fateOf(
  { where, store, versions }: StoredState,
  name: string | undefined,
  version: CodecVersion | undefined,
  { flows }: Topology,
): StateFate {
  const flow = flows.find((one) => one.name === name)
  if (flow === undefined || flow.checkpoints !== where) return 'unused'
  if (version === undefined) return flow.givesUp.includes(stageOf(store)) ? 'given up' : 'dropped'
  return versions.every((one) => isSameVersion(one, version)) ? 'kept' : 'converted'
}

/** The declared flow that a task belongs to: one name may be the beginning of another. */
export function flowOf(task: string, { app, declared }: Pick<Topology, 'app' | 'declared'>): string | undefined {
  const names = declared.filter((name) => `${task}.`.startsWith(`${app}.${name}.`))
  return names.sort((one, other) => other.length - one.length)[0]
}

/** What is known of the sources of a stage behind an internal topic is its own, and goes with it. */
function stageOf(store: string): string {
  return store.endsWith('.sources') ? store.slice(0, -'.sources'.length) : store
}

/** A task that read an embedded broker is named after when it began. */
function isVolatile(task: string): boolean {
  return /\.\d{13}$/.test(task)
}

/** What a plan has to be refused for, a fault a store. */
export function stateFaults(changes: readonly StateChange[]): ConfigFault[] {
  // A stage behind an internal topic has a task of its own, that is called after it.
  const known = new Set(changes.filter(({ fate }) => fate !== 'dropped').map(({ task }) => task))
  return changes
    .filter(({ fate, store }) => fate === 'dropped' && store === stageOf(store))
    .map(({ flow, store, keys, bytes, where, task }) => {
      const near = (one: StateChange) => (known.has(task) ? one.task === task : one.flow === flow)
      const fresh = changes
        .filter((one) => one.fate === 'new' && one.store === stageOf(one.store) && near(one))
        .map((one) => `'${one.store}'`)
      const renamed = fresh.length === 0 ? '' : ` (Was it renamed to ${fresh.join(' or ')}?)`
      return {
        message: `flow '${flow}' no longer has the stage '${store}', of which ${where} keeps state: ${keys} keys, ${bytes} bytes of log`,
        hint: `${unclaimedHint(store)}${renamed}`,
      }
    })
}

/**
 * A stage behind an internal topic has a task of its own, which is called after it: under another name it would begin with
 * nothing, and nobody restore what it had. Completes when the flow leaves no such task behind; `told` hears of all that is
 * held meanwhile.
 * Errors: WEIR_CHECKPOINT_UNKNOWN_STORE, and those of the checkpoint store.
 */
export function leavesNothing(
  checkpoints: CheckpointStore,
  topology: Topology,
  kept: readonly KeptState[],
  { flow, where }: Pick<KeptState, 'flow' | 'where'>,
  told: (held: readonly HeldPartition[]) => void = () => undefined,
): Observable<never> {
  const own = kept.filter((one) => one.flow === flow && one.part.checkpointed)
  const isLeft = (task: string) => flowOf(task, topology) === flow && !own.some((one) => one.task === task)
  return checkpoints.list(topology.app).pipe(
    concatMap((held) => {
      told(held)
      const fresh = own.filter(({ task }) => !held.some((one) => one.task === task))
      const left$ = statesOf(
        held.filter(({ task }) => isLeft(task)),
        checkpoints,
        where,
      )
      return left$.pipe(map((left) => stateFaults(planState(topology, fresh, left))))
    }),
    tap(([fault]) => {
      if (fault === undefined) return
      throw new WeirError('WEIR_CHECKPOINT_UNKNOWN_STORE', fault.message, { flow, hint: fault.hint ?? '' })
    }),
    ignoreElements(),
  )
}
