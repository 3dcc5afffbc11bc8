import type { Message } from '../../kafka/client.js'
import type { KafkaConnection } from '../../kafka/connection.js'
import { unreachable } from '../../kafka/extent-reader.js'
import { LogReader } from '../../kafka/log-reader.js'
import { extentOf } from '../../kafka/whole-topic.js'
import { describeError, type LogEnds, WeirError } from '../../model/index.js'
import { withBrokers } from '../brokers.js'
import { exitCodes, type Io, type Signal } from '../io.js'
import { untilSignal } from '../kafka.js'
import { countOption } from '../number-option.js'
import { painter } from '../paint.js'
import { print } from '../print.js'
import { withAnyRegistry } from '../schema-registry.js'
import { type BrowseOptions, isolationOf } from './browse.js'
import { recordFilter } from './filter.js'
import { cutTo, rangeOf } from './range.js'
import { showing } from './shown.js'
import { extentsOf } from './topic.js'

/** How often it is looked whether there are more partitions, or none any more, ms. */
const lookEveryMs = 5_000
/** An empty answer is what brokers hold back for so long, ms. */
const waiting = { 'fetch.wait.max.ms': 500 }

/** `weir topics tail <topic>`: what comes from now on, or from `--from` or `--since` on, until Ctrl-C or `--limit`. */
export async function tail(topic: string, options: BrowseOptions, io: Io): Promise<number> {
  const range = rangeOf(options)
  const limit = options.limit === undefined ? Infinity : countOption('--limit', options.limit, 'records')
  const isMeant = recordFilter(options, range)
  const show = showing(options, painter(io.stdout, io))
  return untilSignal(io, (signal) =>
    withBrokers(options, io, async ({ connection, configured }) => {
      const isFromNow = range.from === undefined && range.since === undefined
      const extents = await cutTo(connection, await extentsOf(connection, topic), {
        ...range,
        ...(isFromNow ? { from: 'latest' } : {}),
      })
      return withAnyRegistry(options, io, configured, async (registry) => {
        let left = limit
        const following = { extents, isAll: range.partition === undefined, settings: isolationOf(options), io, signal }
        for await (const messages of followed(connection, topic, following)) {
          const lines: string[] = []
          for (const message of messages) {
            if (lines.length === left || !(await isMeant(message, registry))) continue
            lines.push(`${await show(message, registry)}\n`)
          }
          left -= lines.length
          if (!(await print(io.stdout, lines.join(''))) || left === 0) break
        }
        return exitCodes.ok
      })
    }),
  )
}

interface Following {
  /** Where it begins. */
  readonly extents: readonly LogEnds[]
  /** Whether partitions that are added belong to it. */
  readonly isAll: boolean
  readonly settings: Readonly<Record<string, string>>
  readonly io: Io
  signal(): Signal | undefined
}

/** What comes. Errors: WEIR_SOURCE_UNREACHABLE where the client is refused, WEIR_SOURCE_MISSING when the topic is gone. */
async function* followed(
  connection: KafkaConnection,
  topic: string,
  { extents, isAll, settings, io, signal }: Following,
): AsyncGenerator<readonly Message[]> {
  const positions = new Map(extents.map(({ partition, start }) => [partition, start]))
  const reader = new LogReader({ ...(await connection.settings()), ...waiting, ...settings })
  const assign = () => reader.assign([...positions].map(([partition, offset]) => ({ topic, partition, offset })))
  const watch = new PartitionWatch(connection, topic, io)
  try {
    await reader.connect()
    assign()
    while (signal() === undefined) {
      const messages = await reader.poll()
      for (const { partition, offset } of messages) positions.set(partition, offset + 1)
      if (messages.length > 0) yield messages
      const count = (await watch.count()) ?? 0
      if (!isAll || count <= positions.size) continue
      for (let partition = positions.size; partition < count; partition++) positions.set(partition, 0)
      assign()
    }
  } catch (error) {
    throw unreachable(error, topic, connection)
  } finally {
    await reader.close()
  }
}

/** Looks, now and then, how many partitions a topic has. */
class PartitionWatch {
  private lookedAt = performance.now()
  private isAway = false

  constructor(
    private readonly connection: KafkaConnection,
    private readonly topic: string,
    private readonly io: Io,
  ) {}

  /** Undefined where it was not looked, or no broker answers: that is told, once. Errors: WEIR_SOURCE_MISSING. */
  async count(): Promise<number | undefined> {
    if (performance.now() - this.lookedAt < lookEveryMs) return undefined
    try {
      const count = (await extentOf(this.connection, this.topic)).length
      this.isAway = false
      if (count > 0) return count
    } catch (error) {
      if (!this.isAway) this.io.stderr.write(`${describeError(error)}\nIt goes on when they answer.\n`)
      this.isAway = true
      return undefined
    } finally {
      this.lookedAt = performance.now()
    }
    throw new WeirError('WEIR_SOURCE_MISSING', `following topic '${this.topic}': it is gone`, {
      hint: 'It was deleted while it was read.',
    })
  }
}
