import { createHash } from 'node:crypto'
import type { ReadRow } from '../../codecs/archive/file-reader.js'
import { ReplayWriter } from '../../kafka/replay-writer.js'
import { exitCodes, type Io, UsageError } from '../io.js'
import { kafkaName, kafkaOf, untilSignal } from '../kafka.js'
import { prepare } from '../prepare.js'
import { thereIs } from '../progress.js'
import { countText, withEngine } from '../stored.js'
import { barOf } from './bar.js'
import { catalogOf, type PartitionFiles, partitionsOf } from './catalog.js'
import { messagesOf } from './events.js'
import { merged } from './merged.js'
import { type FilterOptions, filterOf, type RowFilter } from './replay-filter.js'
import { partitionRows } from './rows.js'
import { Told } from './told.js'
import { type OpenedArchive, type WhereOptions, withArchive } from './where.js'

export interface ReplayOptions extends WhereOptions, FilterOptions {
  readonly to: string
  readonly dryRun?: boolean
  readonly again?: boolean
  readonly connection?: string
}

/** What came of one offset: one event, or those of a batch. */
type Recorded = readonly [ReadRow, ...ReadRow[]]

/** How many records, and bytes of values, one transaction has. */
const [mostRecords, mostBytes] = [10_000, 8_388_608]
/** How long it waits for the next one before it ends, ms: readers of the topic wait for it, and brokers throw it away some day. */
const patienceMs = 2_000

/**
 * `weir archive replay <topic> [where] --to <topic>`: writes events of an archive to a topic again, each partition in its order
 * into the partition of the same number, and partitions beside each other by the times of their records. Each is written once
 * however often the command is run: what was written is told by the brokers.
 */
export async function replay(
  topic: string,
  where: string | undefined,
  options: ReplayOptions,
  io: Io,
): Promise<number> {
  const filter = filterOf(options)
  return withArchive(where, options, io, async (archive) => {
    const { files } = await catalogOf(archive, barOf(io, 'files'))
    const partitions = partitionsOf(files).filter((each) => each.topic === topic && filter.hasPartition(each.partition))
    if (partitions.length === 0) {
      const topics = [...new Set(partitionsOf(files).map((each) => each.topic))]
      throw new UsageError(`${archive.store.address} has nothing of '${topic}': ${thereIs('topic', topics)}`)
    }
    if (options.dryRun) return dryRun({ archive, partitions, filter, io, isStopped: () => false })
    return writing({ archive, partitions, filter, io }, topic, options)
  })
}

interface Replaying {
  readonly archive: OpenedArchive
  readonly partitions: readonly PartitionFiles[]
  readonly filter: RowFilter
  readonly io: Io
  /** Whether somebody wants it to end. */
  isStopped(): boolean
}

async function dryRun(replaying: Replaying): Promise<number> {
  const { io, partitions } = replaying
  const told = new Told()
  const bar = barOf(io, 'records', recordsOf(partitions))
  for await (const records of recordsIn(replaying, new Map(), (read) => bar.at(read)))
    for (const rows of records) for (const { events } of messagesOf(rows)) told.add(rows[0], events)
  bar.end()
  io.stdout.write(`${told.lines(io).join('\n')}\n${countText(told.records, 'record')} would be written\n`)
  return exitCodes.ok
}

async function writing(
  replaying: Omit<Replaying, 'isStopped'>,
  topic: string,
  options: ReplayOptions,
): Promise<number> {
  const { io, archive } = replaying
  const prepared = await prepare({ config: options.config }, io)
  const id = idOf(prepared.topology.app, archive.store.address, topic, options)
  const name = kafkaName(options.connection, prepared)
  return untilSignal(io, (signal) =>
    withEngine(prepared, async (engine) => {
      const writer = new ReplayWriter(kafkaOf(engine, name), options.to, id)
      try {
        const told = await written({ ...replaying, isStopped: () => signal() !== undefined }, writer, options)
        io.stdout.write(prepared.redact(`${[...told.lines(io), told.sentence(options.to)].join('\n')}\n`))
        const heard = signal()
        if (heard === undefined) return exitCodes.ok
        io.stderr.write('stopped before the end: the same command goes on there\n')
        return exitCodes[heard]
      } finally {
        await writer.close()
      }
    }),
  )
}

async function written(
  replaying: Replaying,
  writer: ReplayWriter,
  { to, again = false }: ReplayOptions,
): Promise<Told> {
  const { io, partitions } = replaying
  const needed = Math.max(...partitions.map(({ partition }) => partition)) + 1
  const count = await writer.partitions(needed)
  if (count < needed)
    throw new UsageError(
      `--to: '${to}' has ${countText(count, 'partition')}, and there are records of partition ${needed - 1}: give it ${needed} or more`,
    )
  const before = await writer.open(count)
  // Whoever begins anew forgets all that was written, of each partition.
  const progress = new Map(again ? partitions.map(({ partition }) => [partition, 0]) : before)
  const told = new Told()
  const bar = barOf(io, 'records', recordsOf(partitions))
  try {
    const records = recordsIn(replaying, new Map(progress), (read) => bar.at(read))
    await sendAll(records, writer, progress, told)
  } catch (error) {
    const what = told.committed === 0 ? 'nothing was written' : told.sentence(to)
    io.stderr.write(`${what}; the same command goes on there\n`)
    throw error
  } finally {
    bar.end()
  }
  if (!again && before.size > 0) {
    const isAll = told.records === 0 && !replaying.isStopped()
    io.stderr.write(
      isAll
        ? 'all of it was written before: --again writes it again\n'
        : 'it went on behind what an earlier run has written: --again begins anew\n',
    )
  }
  return told
}

async function sendAll(
  records: AsyncGenerator<readonly Recorded[]>,
  writer: ReplayWriter,
  progress: Map<number, number>,
  told: Told,
): Promise<void> {
  let bytes = 0
  const commit = async () => {
    await writer.commit(progress)
    told.commit()
    bytes = 0
  }
  for (;;) {
    const coming = records.next()
    if (told.pending > 0 && (await isLate(coming))) await commit()
    const next = await coming
    if (next.done === true) return commit()
    for (const rows of next.value) {
      const [{ partition, offset, timestamp, key }] = rows
      for (const { value, headers, events } of messagesOf(rows)) {
        await writer.write({ partition, timestamp, key, value, headers })
        told.add(rows[0], events)
        bytes += value?.length ?? 0
      }
      progress.set(partition, offset + 1)
      if (told.pending >= mostRecords || bytes >= mostBytes) await commit()
    }
  }
}

/** Whether something takes longer than a transaction shall be open for it. */
function isLate(coming: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, patienceMs, true)
    coming.then(() => resolve(false), reject).finally(() => clearTimeout(timer))
  })
}

/** What is written once is known by it: the same events from the same archive to the same topic. */
function idOf(app: string, address: string, topic: string, options: ReplayOptions): string {
  const { to, since, until, type = [], offsets = [] } = options
  const digest = createHash('sha256').update(JSON.stringify([address, topic, to, since, until, type, offsets]))
  return `${app}.replay.${to}.${digest.digest('hex').slice(0, 16)}`
}

function recordsOf(partitions: readonly PartitionFiles[]): number {
  return partitions.flatMap(({ files }) => files).reduce((sum, { place }) => sum + place.records, 0)
}

/** What is wanted of all partitions, beside each other by the times of their records. */
function recordsIn(
  replaying: Replaying,
  from: ReadonlyMap<number, number>,
  passed: (read: number) => void,
): AsyncGenerator<readonly Recorded[]> {
  let read = 0
  const sources = replaying.partitions.map((partition) => ({
    from: Number.NEGATIVE_INFINITY,
    open: () =>
      recordsOfPartition(replaying, partition, from.get(partition.partition) ?? 0, (rows) => {
        read += rows
        passed(read)
      }),
  }))
  return merged(sources, ([{ timestamp }]) => timestamp)
}

async function* recordsOfPartition(
  { archive, filter, isStopped }: Replaying,
  partition: PartitionFiles,
  from: number,
  passed: (rows: number) => void,
): AsyncGenerator<readonly Recorded[]> {
  const isWanted = filter.mayHave
  let last: [ReadRow, ...ReadRow[]] | undefined
  for await (const found of partitionRows(archive, partition, {
    isWanted: (rows) => rows.offsets[1] >= from && isWanted(rows),
  })) {
    passed(found.length)
    // There may be more of the last record.
    if (isStopped()) return
    const whole: Recorded[] = []
    for (const { row } of found) {
      if (row.offset < from || !filter.isWanted(row)) continue
      if (last?.[0].offset === row.offset) {
        last.push(row)
        continue
      }
      if (last !== undefined) whole.push(last)
      last = [row]
    }
    if (whole.length > 0) yield whole
  }
  if (last !== undefined) yield [last]
}
