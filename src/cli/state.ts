import { concatMap, filter, from, lastValueFrom, mergeAll, reduce } from 'rxjs'
import { flowOf } from '../engine/index.js'
import { groupKeyOf, type HeldPartition, partitionName, type StoreKey } from '../model/index.js'
import { readStored, type StoredStore } from '../state/index.js'
import { exitCodes, type Io, UsageError } from './io.js'
import { painter, table } from './paint.js'
import { type Prepared, prepare } from './prepare.js'
import { keptOf } from './progress.js'
import { shownTime } from './set-time.js'
import { type Stored, sizeText, storesOf, withStored } from './stored.js'

export interface StateOptions {
  readonly config?: string
  readonly json?: boolean
}

/** One value of a store. */
interface FoundEntry {
  readonly task: string
  readonly topic: string
  readonly partition: number
  /** Where its window begins; 0 in a store without windows. */
  readonly segment: number
  readonly key: StoreKey
  /** As it is saved. */
  readonly value: unknown
}

/** `weir state [flow [store [key]]]`: what is stored and how far partitions have come, or the entries of a key in all windows. */
export async function state(asked: readonly (string | undefined)[], options: StateOptions, io: Io): Promise<number> {
  const prepared = await prepare(options, io)
  const [flow, store, key] = asked
  await withStored(prepared, async (stored) => {
    if (flow !== undefined) checkAsked(flow, store, stored, prepared)
    const lines =
      flow === undefined || store === undefined || key === undefined
        ? listed(stored, await progressOf(stored, prepared, flow), prepared, [flow, store], options, io)
        : found(await entriesOf(flow, store, key, stored, prepared), key, options)
    io.stdout.write(prepared.redact(`${lines.join('\n')}\n`))
  })
  return exitCodes.ok
}

function checkAsked(flow: string, store: string | undefined, { engine, states }: Stored, { topology }: Prepared): void {
  const stores = [
    ...engine.kept.filter((kept) => kept.flow === flow).flatMap(({ stores: declared }) => declared.names),
    ...states.filter(({ task }) => flowOf(task, topology) === flow).map((one) => one.store),
  ]
  if (stores.length === 0) throw new UsageError(`flow '${flow}' has no state`)
  if (store !== undefined && !stores.includes(store))
    throw new UsageError(`flow '${flow}' has no store '${store}': there are ${[...new Set(stores)].join(', ')}`)
}

function listed(
  { states }: Stored,
  held: readonly HeldPartition[],
  prepared: Prepared,
  [flow, store]: readonly (string | undefined)[],
  { json }: StateOptions,
  io: Io,
): string[] {
  const { topology } = prepared
  const shown = states.filter(
    (one) =>
      (flow === undefined || flowOf(one.task, topology) === flow) && (store === undefined || one.store === store),
  )
  if (json) return [JSON.stringify({ app: topology.app, states: shown, partitions: held }, undefined, 2)]
  const where = storesOf(prepared)
  if (where.length === 0) return [`app ${topology.app} keeps its state in memory: it ends with its process`]
  if (shown.length === 0 && held.length === 0) return [`no state is kept in ${where.join(', ')}`]
  const paint = painter(io.stdout, io)
  const headed = ([heading = '', ...lines]: readonly string[]) => [paint('dim', heading), ...lines]
  const rows = shown.map(({ task, store: name, where: keeper, partitions, keys, bytes, versions }) => [
    task.slice(topology.app.length + 1),
    name,
    keeper,
    String(partitions),
    String(keys),
    sizeText(bytes),
    versions.map((version) => JSON.stringify(version)).join(', '),
  ])
  const partitions = held.map(({ task, progress, ...partition }) => [
    task.slice(topology.app.length + 1),
    partitionName(partition),
    String(progress?.position ?? '–'),
    shownTime(progress?.streamTime),
    shownTime(progress?.watermark),
  ])
  return [
    ...headed(table([['task', 'store', 'in', 'partitions', 'keys', 'log', 'codec'], ...rows])),
    '',
    ...headed(table([['task', 'partition', 'position', 'stream time', 'watermark'], ...partitions])),
  ]
}

async function progressOf({ engine }: Stored, prepared: Prepared, flow: string | undefined): Promise<HeldPartition[]> {
  const kept = await keptOf(engine, prepared, flow)
  return kept
    .map(({ held }) => held)
    .sort((one, other) => orderOf(one).localeCompare(orderOf(other), 'en', { numeric: true }))
}

function orderOf({ task, topic, partition }: HeldPartition): string {
  return `${task} ${topic} ${partition}`
}

async function entriesOf(
  flow: string,
  store: string,
  key: string,
  { engine }: Stored,
  prepared: Prepared,
): Promise<FoundEntry[]> {
  const { topology } = prepared
  const codecOf = (task: string) => engine.kept.find((kept) => kept.task === task)?.stores.codecOf(store)
  const all$ = from(storesOf(prepared)).pipe(
    concatMap((name) => {
      const checkpoints = engine.checkpointStore(name)
      return checkpoints.list(topology.app).pipe(
        mergeAll(1),
        filter(({ task }) => flowOf(task, topology) === flow),
        concatMap((held) => readStored(checkpoints, held, (name) => (name === store ? codecOf(held.task) : undefined))),
      )
    }),
    filter((stored) => stored.store.name === store),
    reduce((all: FoundEntry[], stored) => [...all, ...entriesIn(stored, key)], []),
  )
  return lastValueFrom(all$)
}

function entriesIn({ held, store }: StoredStore, key: string): FoundEntry[] {
  const { task, topic, partition } = held
  return [...store.segments()].flatMap((segment) =>
    [...(store.segment(segment)?.values() ?? [])]
      .filter((entry) => String(shownKey(entry.key)) === key)
      .map(({ key: own, value }) => ({
        task,
        topic,
        partition,
        segment,
        key: shownKey(own),
        value: store.codec.save(value),
      })),
  )
}

function found(entries: readonly FoundEntry[], key: string, { json }: StateOptions): string[] {
  if (json) return [JSON.stringify(entries, plain, 2)]
  if (entries.length === 0) return [`no entry of the key '${key}'`]
  return table(
    [...entries]
      .sort((one, other) => one.segment - other.segment)
      .map(({ topic, partition, segment, value }) => [
        segment === 0 ? '–' : new Date(segment).toISOString(),
        `${topic}-${partition}`,
        JSON.stringify(value, plain),
      ]),
  )
}

/** Bytes that are no text as `0x…`, which is how to ask for them too. */
function shownKey(stored: StoreKey): StoreKey {
  const key = groupKeyOf(stored)
  return Buffer.isBuffer(key) ? `0x${key.toString('hex')}` : key
}

/** What MessagePack can carry and JSON can't. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Map) return Object.fromEntries(value)
  return value instanceof Set ? [...value] : value
}
