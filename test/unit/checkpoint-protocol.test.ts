import { expect, test } from 'vitest'
import { fencedError, type PartitionCommit, type TopicPartition, WeirError } from '../../src/model/index.js'
import {
  CheckpointProtocol,
  type Command,
  decodeEntry,
  type Entry,
  type Event,
  encodeEntry,
  type NewEntry,
} from '../../src/state/checkpoint-protocol/index.js'

const one: TopicPartition = { topic: 't', partition: 0 }
const two: TopicPartition = { topic: 't', partition: 1 }
const task = 'app.flow'
const away = new WeirError('WEIR_CHECKPOINT_UNREACHABLE', 'nobody answers')

/** The logs, as brokers have them without any fault, and the ids that were fenced off. */
class Logs {
  readonly fenced: string[] = []
  readonly renewed: string[] = []
  private readonly entries = new Map<number, NewEntry[]>()

  of({ partition }: TopicPartition): NewEntry[] {
    let entries = this.entries.get(partition)
    if (entries === undefined) this.entries.set(partition, (entries = []))
    return entries
  }

  append(entries: readonly NewEntry[]): void {
    for (const entry of entries) this.of(entry.source).push({ ...entry, entry: decodeEntry(encodeEntry(entry.entry)) })
  }
}

/** Does what is commanded, until there is an answer, and notes each command. */
class Driver {
  readonly commands: string[] = []
  private next = new Map<number, number>()

  constructor(
    private readonly logs: Logs,
    readonly protocol: CheckpointProtocol,
    /** Called before a command is carried out. */
    private readonly before: (command: Command) => void = () => undefined,
  ) {}

  run(event: Event) {
    let command = this.protocol.handle(event)
    for (;;) {
      this.commands.push(command.do)
      if (command.do === 'answer') return command.acquired
      if (command.do === 'refuse') throw command.error
      this.before(command)
      command = this.protocol.handle(this.perform(command))
    }
  }

  acquire(...partitions: TopicPartition[]) {
    return this.run({ on: 'acquire', partitions, token: `${this.protocol.id}-${this.commands.length}` })
  }

  load(source: TopicPartition): string[] {
    const loading = this.protocol.loading(source)
    const chunks: string[] = []
    let command = loading.start()
    while (command.do !== 'answer') {
      if (command.do === 'give') chunks.push(...command.chunks.map(({ bytes }) => Buffer.from(bytes).toString()))
      command = loading.handle(this.perform(command))
    }
    return chunks
  }

  private perform(command: Command): Event {
    const { logs, protocol } = this
    switch (command.do) {
      case 'prepare':
        return { on: 'prepared' }
      case 'renew':
        logs.renewed.push(protocol.id)
        return { on: 'renewed' }
      case 'bound':
        return {
          on: 'bounded',
          bounds: command.partitions.map((at) => ({ ...at, start: 0, end: logs.of(at).length })),
        }
      case 'seek':
        this.next = new Map(command.positions.map(({ partition, offset }) => [partition, offset]))
        return this.read()
      case 'read':
        return this.read()
      case 'fence':
        logs.fenced.push(...command.owners)
        return { on: 'fenced' }
      case 'write':
        logs.append(command.entries)
        return { on: 'written' }
      case 'commit':
        logs.append(command.entries)
        return { on: 'committed' }
      case 'give':
        return { on: 'given', isWanted: true }
      case 'answer':
      case 'refuse':
        throw new Error('nothing is left to do')
    }
  }

  /** Two entries at a time. */
  private read(): Event {
    const entries = [...this.next].flatMap(([partition, from]) => {
      const read = this.logs.of({ topic: 't', partition }).slice(from, from + 2)
      this.next.set(partition, from + read.length)
      return read.map((entry, index) => ({ ...entry, offset: from + index }))
    })
    const hasEnded = [...this.next].every(([partition, from]) => from >= this.logs.of({ topic: 't', partition }).length)
    return { on: 'read', entries, hasEnded }
  }
}

const driver = (logs: Logs, id: string, before?: (command: Command) => void) =>
  new Driver(logs, new CheckpointProtocol(task, id), before)

const commitOf = (generation: number, position: number, parts: Partial<PartitionCommit> = {}): PartitionCommit => {
  return { ...one, generation, progress: { position }, sequence: 0, chunks: [], ...parts }
}
const commit = (...partitions: PartitionCommit[]): Event => ({ on: 'commit', commit: { task, partitions } })
const claim = (owner: string, generation: number): NewEntry => {
  const entry: Entry = { kind: 'acquired', task, topic: 't', owner, generation, token: `of ${owner}` }
  return { source: one, entry, bytes: null }
}

test('a partition that nobody has is claimed, and nobody fenced off', () => {
  const logs = new Logs()
  const a = driver(logs, 'a')
  expect(a.acquire(one)).toEqual([{ ...one, generation: 1, progress: undefined, sequence: 0 }])
  expect(a.commands).toEqual(['prepare', 'renew', 'bound', 'seek', 'write', 'read', 'answer'])
  expect(logs.fenced).toEqual([])
})

test('who takes a partition over fences its owner off before anything is claimed, and goes on where it was', () => {
  const logs = new Logs()
  driver(logs, 'a').acquire(one, two)
  const b = driver(logs, 'b')
  expect(b.acquire(one)).toMatchObject([{ generation: 2 }])
  expect(b.commands.indexOf('fence')).toBeGreaterThan(0)
  expect(b.commands.indexOf('fence')).toBeLessThan(b.commands.indexOf('write'))
  b.run(commit(commitOf(2, 7, { sequence: 3 })))
  expect(driver(logs, 'c').acquire(one)).toMatchObject([{ generation: 3, progress: { position: 7 }, sequence: 3 }])
  expect(logs.fenced).toEqual(['a', 'b'])
})

test('who has released a partition is spared, and commits no more of it', () => {
  const logs = new Logs()
  const a = driver(logs, 'a')
  a.acquire(one, two)
  a.run({ on: 'release', partitions: [one] })
  driver(logs, 'b').acquire(one)
  expect(logs.fenced).toEqual([])
  expect(() => a.run(commit(commitOf(1, 5)))).toThrow(fencedError(task, { ...one, generation: null }))
  a.run(commit(commitOf(1, 5, two)))
  expect(logs.of(two).at(-1)?.entry).toMatchObject({ kind: 'committed', progress: { position: 5 } })
})

test('a release that comes after the next one has it changes nothing', () => {
  const logs = new Logs()
  driver(logs, 'a').acquire(one)
  driver(logs, 'b').acquire(one)
  logs.append([{ source: one, entry: { kind: 'released', generation: 1 }, bytes: null }])
  driver(logs, 'c').acquire(one)
  expect(logs.fenced).toEqual(['a', 'b'])
})

test('of two that claim a partition at once the first counts, and the other fences it off and claims anew', () => {
  const logs = new Logs()
  let isFirst = true
  const b = driver(logs, 'b', (command) => {
    if (command.do === 'write' && isFirst) logs.append([claim('a', 1)])
    if (command.do === 'write') isFirst = false
  })
  expect(b.acquire(one)).toMatchObject([{ generation: 2 }])
  expect(logs.fenced).toEqual(['a'])
})

test('what somebody commits before it is fenced off counts, also when it comes after the logs were looked at', () => {
  const logs = new Logs()
  const a = driver(logs, 'a')
  a.acquire(one)
  const b = driver(logs, 'b', (command) => {
    if (command.do === 'fence') a.run(commit(commitOf(1, 9, { sequence: 4 })))
  })
  expect(b.acquire(one)).toMatchObject([{ generation: 2, progress: { position: 9 }, sequence: 4 }])
})

test('the last commit is found however far back it lies', () => {
  const logs = new Logs()
  const a = driver(logs, 'a')
  a.acquire(one)
  a.run(commit(commitOf(1, 3)))
  for (let generation = 2; generation < 400; generation++) logs.append([claim('a', generation)])
  expect(driver(logs, 'b').acquire(one)).toMatchObject([{ generation: 400, progress: { position: 3 } }])
})

test('after an error of the producer it is made anew, and what was acquired through it is gone', () => {
  const a = driver(new Logs(), 'a')
  a.acquire(one, two)
  a.protocol.handle({ on: 'lost', error: away })
  expect(() => a.run(commit(commitOf(1, 1)))).toThrow(away)
  expect(a.acquire(two)).toMatchObject([{ generation: 2 }])
  expect(a.commands.filter((command) => command === 'renew')).toHaveLength(2)
  expect(() => a.run(commit(commitOf(1, 1)))).toThrow(/nobody has acquired it/)
})

test('a commit of which the outcome is not known ends the producer; a claim does not', () => {
  const a = driver(new Logs(), 'a')
  a.protocol.handle({ on: 'acquire', partitions: [one], token: 'x' })
  a.protocol.handle({ on: 'failed', error: away })
  a.acquire(one)
  a.protocol.handle(commit(commitOf(1, 1)))
  a.protocol.handle({ on: 'failed', error: away })
  expect(() => a.run(commit(commitOf(1, 1)))).toThrow(away)
})

test('an epoch that changes nothing writes nothing', () => {
  const logs = new Logs()
  const a = driver(logs, 'a')
  a.acquire(one)
  a.run(commit(commitOf(1, 1)))
  const { length } = logs.of(one)
  a.run(commit(commitOf(1, 1)))
  expect(logs.of(one)).toHaveLength(length)
})

test('large chunks are written in parts, and loaded whole, from the first that counts on', () => {
  const logs = new Logs()
  const a = driver(logs, 'a')
  a.acquire(one)
  const large = 'x'.repeat(2_000_000)
  const chunks = (...texts: string[]) => texts.map((text) => Buffer.from(text))
  a.run(commit(commitOf(1, 1, { sequence: 1, chunks: chunks('obsolete') })))
  a.run(commit(commitOf(1, 2, { sequence: 2, chunks: chunks(large, '') })))
  a.run(commit(commitOf(1, 3, { sequence: 3, chunks: chunks('last'), truncateBefore: 2 })))
  expect(driver(logs, 'b').load(one)).toEqual([large, '', 'last'])
  expect(driver(logs, 'b').load(two)).toEqual([])
})

test('what can not happen is told', () => {
  const { protocol } = driver(new Logs(), 'a')
  expect(() => protocol.handle({ on: 'written' })).toThrow("checkpoints: 'written' can't happen while idle")
  protocol.handle({ on: 'acquire', partitions: [one], token: 'x' })
  expect(() => protocol.handle({ on: 'release', partitions: [one] })).toThrow(/while preparing/)
})
