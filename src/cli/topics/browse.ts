import type { SchemaRegistry } from '../../codecs/schema-registry.js'
import { ExtentReader } from '../../kafka/extent-reader.js'
import type { LogEnds } from '../../model/index.js'
import { barOf } from '../archive/bar.js'
import { type BrokerOptions, withBrokers } from '../brokers.js'
import { exitCodes, type Io, type Signal, UsageError } from '../io.js'
import { untilSignal } from '../kafka.js'
import { countOption } from '../number-option.js'
import { painter } from '../paint.js'
import { print } from '../print.js'
import { withAnyRegistry } from '../schema-registry.js'
import { type FilterOptions, type RecordFilter, recordFilter } from './filter.js'
import { cutTo, type RangeOptions, rangeOf } from './range.js'
import { scan } from './scan.js'
import { type Show, type ShownOptions, showing } from './shown.js'
import { extentsOf } from './topic.js'

export interface BrowseOptions extends BrokerOptions, RangeOptions, FilterOptions, ShownOptions {
  readonly limit?: string
  readonly uncommitted?: boolean
  readonly registry?: string
}

/** What is read, and how it is told. */
interface Browsing {
  readonly reader: ExtentReader
  readonly extents: readonly LogEnds[]
  readonly registry: SchemaRegistry | undefined
  readonly isMeant: RecordFilter
  readonly show: Show
  readonly io: Io
  signal(): Signal | undefined
}

const usualLimit = '20'

/** `weir topics browse <topic>`: the newest records, or with `--from` those that begin there. */
export async function browse(topic: string, options: BrowseOptions, io: Io): Promise<number> {
  const range = rangeOf(options)
  const limit = options.limit === 'all' ? undefined : countOption('--limit', options.limit ?? usualLimit, 'records')
  if (limit === undefined && range.from === undefined)
    throw new UsageError('--limit: all are read from the oldest on: say --from earliest, or where else they begin')
  const isMeant = recordFilter(options, range)
  const show = showing(options, painter(io.stdout, io))
  return untilSignal(io, (signal) =>
    withBrokers(options, io, async ({ connection, configured }) => {
      const extents = await cutTo(connection, await extentsOf(connection, topic), range)
      return withAnyRegistry(options, io, configured, async (registry) => {
        const reader = new ExtentReader(connection, topic, isolationOf(options))
        const browsing = { reader, extents, registry, isMeant, show, io, signal }
        try {
          if (limit === undefined) await all(browsing)
          else await some(browsing, limit, range.from === undefined)
        } finally {
          await reader.close()
        }
        const heard = signal()
        return heard === undefined ? exitCodes.ok : exitCodes[heard]
      })
    }),
  )
}

/** What transactions have left open or aborted is not there, unless it is asked for. */
export function isolationOf({ uncommitted = false }: { readonly uncommitted?: boolean }): Record<string, string> {
  return uncommitted ? { 'isolation.level': 'read_uncommitted' } : {}
}

async function some(browsing: Browsing, limit: number, newestFirst: boolean): Promise<void> {
  const { reader, extents, registry, isMeant, show, io, signal } = browsing
  const bar = barOf(io, 'records read')
  let read = 0
  const lines = await scan({
    read: (pieces) => reader.messages(pieces),
    extents,
    limit,
    newestFirst,
    isOver: () => signal() !== undefined,
    keep: async (message) => {
      bar.at(++read)
      return (await isMeant(message, registry)) ? show(message, registry) : undefined
    },
  })
  bar.end()
  for (const line of lines) if (!(await print(io.stdout, `${line}\n`))) return
  if (lines.length === 0) io.stderr.write(`no record is like that (${read.toLocaleString('en')} read)\n`)
}

/** Each partition in the order of its offsets. */
async function all({ reader, extents, registry, isMeant, show, io, signal }: Browsing): Promise<void> {
  for await (const messages of reader.messages(extents)) {
    const lines: string[] = []
    for (const message of messages)
      if (await isMeant(message, registry)) lines.push(`${await show(message, registry)}\n`)
    if (!(await print(io.stdout, lines.join(''))) || signal() !== undefined) return
  }
}
