import { type Position, partitionName, type TopicPartition, WeirError } from '../model/index.js'
import { type ClientError, disconnect, nativeClient } from './client.js'
import { connectClient } from './connecting.js'
import type { KafkaConnection } from './connection.js'
import { kafkaError } from './errors.js'
import { Brokers, membersOf } from './fetch/index.js'
import { settled } from './unsettled.js'

/** How long brokers may take to answer, ms. */
const answerMs = 5_000

/** As the client numbers them. */
const states = ['unknown', 'rebalancing', 'rebalancing', 'stable', 'dead', 'empty'] as const
/** And as brokers name them. */
const named: Readonly<Record<string, GroupState | undefined>> = {
  PreparingRebalance: 'rebalancing',
  CompletingRebalance: 'rebalancing',
  Stable: 'stable',
  Dead: 'dead',
  Empty: 'empty',
}
export type GroupState = (typeof states)[number]

export interface ListedGroup {
  readonly group: string
  readonly state: GroupState
}

/** A process in a group. */
export interface GroupMember {
  /** As it calls itself. */
  readonly client: string
  readonly host: string
  /** The name by which it keeps its partitions over a restart. */
  readonly instance: string | undefined
  readonly partitions: readonly TopicPartition[]
}

export interface DescribedGroup extends ListedGroup {
  readonly members: readonly GroupMember[]
}

/** Consumer groups of a cluster, looked at and moved by somebody who is no member of them. */
export class Groups {
  constructor(private readonly connection: KafkaConnection) {}

  /** All that the brokers know of, by name. Errors: WEIR_SOURCE_UNREACHABLE. */
  async list(): Promise<readonly ListedGroup[]> {
    const { groups } = await this.asked<Listing>('listing the groups', (admin, done) =>
      admin.listGroups({ timeout: answerMs }, done),
    )
    return groups
      .map(({ groupId, state }) => ({ group: groupId, state: stateOf(state) }))
      .sort((one, other) => one.group.localeCompare(other.group, 'en', { numeric: true }))
  }

  /**
   * Who is in these groups; nobody, where there is none of that name. Brokers are asked past the client, which is not safe to
   * ask. Errors: WEIR_SOURCE_UNREACHABLE.
   */
  async describe(groups: readonly string[]): Promise<readonly DescribedGroup[]> {
    const { connection } = this
    const brokers = new Brokers(() => connection.settings())
    try {
      const found = await membersOf(brokers, groups)
      return found.map(({ group, state, members }) => ({
        group,
        state: named[state] ?? 'unknown',
        members: members.map((member) => ({ ...member, instance: member.instance ?? undefined })),
      }))
    } catch (error) {
      const doing = 'describing the groups'
      throw kafkaError('WEIR_SOURCE_UNREACHABLE', doing, error as ClientError, { address: connection.address })
    } finally {
      brokers.close()
    }
  }

  /** The next offset that a group reads, of each partition that it has one of. Errors: WEIR_SOURCE_UNREACHABLE. */
  async positions(group: string): Promise<readonly Position[]> {
    const [found] = await this.asked<readonly GroupOffsets[]>(
      `reading the positions of group '${group}'`,
      (admin, done) => admin.listConsumerGroupOffsets([{ groupId: group }], { timeout: answerMs }, done),
    )
    return (found?.partitions ?? [])
      .filter((one) => !one.error && one.offset !== undefined && one.offset >= 0)
      .map(({ topic, partition, offset = 0 }) => ({ topic, partition, offset }))
      .sort(
        (one, other) =>
          one.topic.localeCompare(other.topic, 'en', { numeric: true }) || one.partition - other.partition,
      )
  }

  /**
   * Sets where a group without members goes on. Brokers refuse that where it has some.
   * Errors: WEIR_SINK_UNREACHABLE, WEIR_SINK_FAILED.
   */
  async move(group: string, positions: readonly Position[]): Promise<void> {
    const doing = `setting positions of group '${group}' (${positions.map(partitionName).join(', ')})`
    const failed = (code: 'WEIR_SINK_UNREACHABLE' | 'WEIR_SINK_FAILED', error: unknown) =>
      kafkaError(code, doing, error as ClientError, { address: this.connection.address })
    const settings = { ...(await this.connection.settings()), 'group.id': group, 'enable.auto.commit': false }
    const client = new (nativeClient().KafkaConsumer)(settings)
    client.on('event.error', () => undefined)
    client.on('error' as never, (() => undefined) as never)
    try {
      await connectClient(client, settings, answerMs)
    } catch (error) {
      throw failed('WEIR_SINK_UNREACHABLE', error)
    }
    try {
      const places = positions.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
      await settled(() => new Promise((resolve) => resolve(client.commitSync(places))))
    } catch (error) {
      throw failed('WEIR_SINK_FAILED', error)
    } finally {
      await disconnect(client)
    }
  }

  private async asked<T>(doing: string, start: (admin: Admin, done: Done<T>) => void): Promise<T> {
    const { topics, address } = this.connection
    try {
      return await topics.request(start)
    } catch (error) {
      if (error instanceof WeirError) throw error
      throw kafkaError('WEIR_SOURCE_UNREACHABLE', doing, error as ClientError, { address })
    }
  }
}

function stateOf(state: number | undefined): GroupState {
  return states[state ?? 0] ?? 'unknown'
}

type Done<T> = (error: ClientError | null, answer: T) => void

interface Admin {
  listGroups(options: object, done: Done<never>): void
  listConsumerGroupOffsets(groups: object[], options: object, done: Done<never>): void
}

interface Listing {
  readonly groups: readonly { readonly groupId: string; readonly state: number }[]
}

interface GroupOffsets {
  readonly partitions?: readonly (TopicPartition & { readonly offset?: number; readonly error?: unknown })[]
}
