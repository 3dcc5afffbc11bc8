import type { KafkaConnection } from '../../kafka/connection.js'
import { Groups } from '../../kafka/groups.js'
import { isSamePartition, partitionName, type TopicPartition } from '../../model/index.js'
import { audited } from '../audit.js'
import { type BrokerOptions, type Brokers, withBrokers } from '../brokers.js'
import { agreed, exitCodes, type Io, UsageError } from '../io.js'
import { partitionOption } from '../number-option.js'
import { table } from '../paint.js'
import { type Kept, keptOf, thereIs } from '../progress.js'
import { moveTo, stateStays } from '../set-position.js'
import { countText } from '../stored.js'
import { extentsOf, instead } from '../topics/topic.js'
import { aimed, type Placed, targetOf } from './target.js'

export interface ResetOptions extends BrokerOptions {
  readonly to: string
  readonly topic?: readonly string[]
  readonly partition?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

/** A position that may be moved, and where it is kept: by a flow, or by the group where that is undefined. */
interface Movable extends Placed {
  readonly kept: Kept | undefined
}

/**
 * `weir groups reset <group> --to <where>`: where a stopped group goes on. Where a flow of the configuration reads as that group
 * and has its positions in a checkpoint store, those are set.
 */
export async function reset(name: string, options: ResetOptions, io: Io): Promise<number> {
  const target = targetOf(options.to)
  const only = partitionOption(options.partition)
  return withBrokers(options, io, async (brokers) => {
    const { connection } = brokers
    const { group, flow } = meantBy(name, brokers)
    await checkStopped(connection, group, flow)
    const stored = flow === undefined ? [] : await storedPositions(flow, brokers)
    const all = stored.length > 0 ? stored : await groupPositions(connection, group, options.topic)
    const movable = all.filter(
      (one) => (options.topic?.includes(one.topic) ?? true) && (only === undefined || one.partition === only),
    )
    if (movable.length === 0) throw nothing(group, all, options)
    const logs = await connection.topics.logEnds(movable)
    const moves = await aimed(connection, target, movable, logs)
    const moved = moves.filter(({ offset, to }) => offset !== to)
    io.stdout.write(`${told(moves).join('\n')}\n`)
    if (moved.length === 0 || options.dryRun === true) {
      io.stdout.write(moved.length === 0 ? 'nothing to move\n' : 'nothing was moved\n')
      return exitCodes.ok
    }
    if (options.yes !== true && !(await agreed(`move ${countText(moved.length, 'position')}?`, io)))
      return exitCodes.failed
    const asked = { to: options.to, topic: options.topic, partition: options.partition }
    const deed = { action: 'groups.reset', subject: group, asked: { ...asked, flow } }
    return audited(brokers.configured, deed, io, async (tell) => {
      if (stored.length > 0) for (const { kept, to } of moved) await moveTo(kept as Kept, to)
      else
        await new Groups(connection).move(
          group,
          moved.map(({ topic, partition, to }) => ({ topic, partition, offset: to })),
        )
      const where =
        stored.length > 0 ? `of flow '${flow}', in its checkpoint store. ${stateStays}` : `of group '${group}'`
      tell({ positions: moved.length })
      io.stdout.write(`${countText(moved.length, 'position')} moved ${where}\n`)
      return exitCodes.ok
    })
  })
}

/** A group by its name, or by that of the flow which reads as it. */
function meantBy(name: string, { configured }: Brokers): { readonly group: string; readonly flow?: string } {
  if (configured === undefined) return { group: name }
  const { app, flows } = configured.prepared.topology
  const readers = flows.flatMap((flow) =>
    flow.parts.flatMap((part) =>
      part.inputs
        .filter(({ source }) => source.definition.name === 'kafka.source' && source.connection === configured.name)
        .map(({ source: { definition, options } }) => ({
          flow: flow.name,
          group: definition.reads?.(options).group ?? `${app}.${flow.name}`,
        })),
    ),
  )
  return readers.find(({ group }) => group === name) ?? readers.find(({ flow }) => flow === name) ?? { group: name }
}

/** Errors: `UsageError` for a group with members: they would write their own positions over it. */
async function checkStopped(connection: KafkaConnection, group: string, flow: string | undefined): Promise<void> {
  const [described] = await new Groups(connection).describe([group])
  const members = described?.members ?? []
  if (members.length === 0) return
  const who = [...new Set(members.map(({ client, host }) => `${client} at ${host.replace(/^\//, '')}`))]
  const hint =
    flow === undefined ? '' : `; weir state set-position ${flow} moves a flow that runs, where it has a store`
  throw new UsageError(
    `group '${group}' has ${countText(members.length, 'member')} (${who.join(', ')}): stop them first. A process that was killed is one for some seconds more${hint}`,
  )
}

async function storedPositions(flow: string, { configured }: Brokers): Promise<readonly Movable[]> {
  if (configured === undefined) return []
  const { engine, prepared } = configured
  const topics = new Set(
    prepared.topology.flows
      .filter(({ name }) => name === flow)
      .flatMap(({ parts }) => parts.flatMap(({ inputs }) => inputs))
      .flatMap(({ source: { definition, options } }) => definition.reads?.(options).topics ?? []),
  )
  return (await keptOf(engine, prepared, flow))
    .filter(({ held }) => topics.has(held.topic))
    .map((kept) => {
      const { topic, partition, progress } = kept.held
      return { topic, partition, offset: progress?.position, kept }
    })
    .sort(inOrder)
}

/** Those that the group has; and of topics that are named, all partitions. */
async function groupPositions(
  connection: KafkaConnection,
  group: string,
  topics: readonly string[] | undefined,
): Promise<readonly Movable[]> {
  const groups = new Groups(connection)
  const positions = await groups.positions(group)
  if (positions.length === 0 && topics === undefined) {
    const known = (await groups.list()).map((one) => one.group)
    throw known.includes(group)
      ? new UsageError(`group '${group}' has no positions: name a topic with --topic`)
      : new UsageError(`there is no group '${group}': ${instead('group', group, known)}`)
  }
  const all: Movable[] = positions.map((position) => ({ ...position, kept: undefined }))
  for (const topic of topics ?? [])
    for (const { partition } of await extentsOf(connection, topic))
      if (!all.some((one) => isSamePartition(one, { topic, partition })))
        all.push({ topic, partition, offset: undefined, kept: undefined })
  return all.sort(inOrder)
}

function nothing(group: string, all: readonly TopicPartition[], { topic, partition }: ResetOptions): UsageError {
  const topics = [...new Set(all.map((one) => one.topic))]
  const where = [topic?.join(', '), partition === undefined ? undefined : `partition ${partition}`].filter(Boolean)
  return new UsageError(`group '${group}' has no position in ${where.join(', ')}: ${thereIs('topic', topics)}`)
}

function told(moves: readonly (Placed & { readonly to: number })[]): string[] {
  return table(
    moves.map((one) => [
      partitionName(one),
      String(one.offset ?? '–'),
      '→',
      String(one.to),
      one.offset === undefined ? '' : by(one.to - one.offset),
    ]),
  )
}

function by(records: number): string {
  if (records === 0) return 'stays'
  return records > 0 ? `${records.toLocaleString('en')} passed over` : `${(-records).toLocaleString('en')} again`
}

function inOrder(one: TopicPartition, other: TopicPartition): number {
  return one.topic.localeCompare(other.topic, 'en', { numeric: true }) || one.partition - other.partition
}
