import { EMPTY } from 'rxjs'
import { expect } from 'vitest'
import { type Message, pack, unpack } from '../../src/engine/repartition/messages.js'
import type { ChannelWriter, CheckpointStore, EpochCommit, PartitionCommit, SourceTask } from '../../src/model/index.js'
import { type Sabotage, Simulation } from '../../src/testing/simulation/simulation.js'
import { scenarios } from './scenarios.js'
import type { Scenario } from './visits.js'

/** Where a fault is found late, a busy machine takes long. */
export const busy = { timeout: 300_000 }

/** The names of promises that do not hold. */
export const once = /^each (result comes out|record counts) once/
export const durable = /^no committed position is ahead of a durable effect/
export const results =
  /^(results are those of the model|nothing else comes out|no committed position is ahead|each result comes out once|a restore brings)/
export const allDone = /^everything is done in the end/

/** How many seeds of each scenario may hold before one has to notice. */
const tries = 16

/** The first promise that does not hold, of flows whose names match, from this seed on. */
export function firstBroken(named: RegExp, sabotage: Sabotage = {}, first = 1): string | undefined {
  const tried = scenarios.filter(({ name }) => named.test(name))
  expect(tried.length).toBeGreaterThan(0)
  return firstBrokenOf(tried, sabotage, first)
}

/** The same of these flows. */
export function firstBrokenOf(tried: readonly Scenario[], sabotage: Sabotage = {}, first = 1): string | undefined {
  for (let seed = first; seed < first + tries; seed++) {
    for (const { flow, options } of tried) {
      const simulation = new Simulation(flow, { ...options, seed }, sabotage)
      simulation.run()
      if (simulation.world.broken !== undefined) return simulation.world.broken
    }
  }
  return undefined
}

/** A store that is another one but for some methods. */
export function storeOf(store: CheckpointStore, changed: Partial<CheckpointStore>): CheckpointStore {
  return {
    open: () => store.open(),
    acquire: (task, partitions) => store.acquire(task, partitions),
    load: (task, partition) => store.load(task, partition),
    list: (app) => store.list(app),
    begin: (task) => store.begin(task),
    close: () => store.close(),
    release: (task, partitions) => store.release?.(task, partitions) ?? EMPTY,
    ...changed,
  }
}

/** A store whose commits are changed on their way. */
export function committing(change: (partition: PartitionCommit, commit: EpochCommit) => PartitionCommit) {
  return (store: CheckpointStore): CheckpointStore =>
    storeOf(store, {
      begin: (task) => {
        const transaction = store.begin(task)
        const { commit } = transaction
        transaction.commit = (epoch) =>
          commit.call(transaction, { ...epoch, partitions: epoch.partitions.map((part) => change(part, epoch)) })
        return transaction
      },
    })
}

/** A source that is another one but for some members. */
export function sourceOf(source: SourceTask, changed: Partial<SourceTask>): SourceTask {
  return {
    assignments$: source.assignments$,
    read: (epoch) => source.read(epoch),
    positions: () => source.positions(),
    rewind: (positions, error) => source.rewind(positions, error),
    commit: (positions) => source.commit(positions),
    ends: () => source.ends(),
    failed: (error) => source.failed?.(error),
    ...(source.hold && { hold: source.hold.bind(source) }),
    ...(source.goOn && { goOn: source.goOn.bind(source) }),
    ...changed,
  }
}

/** A writer that is another one but for some methods. */
export function writerOf(writer: ChannelWriter, changed: Partial<ChannelWriter>): ChannelWriter {
  return {
    open: () => writer.open(),
    write: (message) => writer.write(message),
    flush: () => writer.flush(),
    ends: () => writer.ends(),
    close: () => writer.close(),
    ...changed,
  }
}

/** A writer of which the messages are changed on their way. */
export function writing(change: (message: Message) => Message) {
  return (writer: ChannelWriter): ChannelWriter =>
    writerOf(writer, {
      write: (message) => writer.write({ ...message, value: pack(change(unpack(message.value as Buffer))) }),
    })
}
