import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { entryOf } from '../../src/kafka/checkpoint-log.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { TransactionalProducer } from '../../src/kafka/transactional-producer.js'
import { connect, fresh, openSink, recordOf, sinkOf, writeAll } from './kafka-support.js'

const jiti = fileURLToPath(new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url))
const script = fileURLToPath(new URL('exactly-once-process.ts', import.meta.url))

/** What is made of the records: see `exactly-once-process.ts`. */
type Kind = 'pass' | 'number' | 'retried' | 'windows'

/** A flow in processes of its own, what it reads, and what a reader of committed records sees of its results. */
export class ExactlyOnce {
  readonly name = fresh('once')
  readonly partitions = 4
  private readonly counts = new Map<string, number>()
  private readonly windows = new Map<string, number>()
  private sent = 0

  private constructor(
    private readonly brokers: string,
    private readonly connection: KafkaConnection,
    private readonly kind: Kind,
  ) {}

  static async create(brokers: string, kind: Kind): Promise<ExactlyOnce> {
    const connection = connect(brokers)
    onTestFinished(() => connection.close())
    const once = new ExactlyOnce(brokers, connection, kind)
    for (const topic of [once.in, once.out]) {
      await openSink(once.sink(topic))
    }
    return once
  }

  get in() {
    return `${this.name}.in`
  }

  get out() {
    return `${this.name}.out`
  }

  /** Writes records of 20 keys. */
  async send(records: number): Promise<void> {
    const sink = this.sink(this.in)
    const made = Array.from({ length: records }, () => {
      const number = this.sent++ % 20
      const [key, timestamp] = [`k${number}`, Date.now()]
      const window = `group-${number % 3}@${Math.floor(timestamp / 1_000) * 1_000}`
      this.windows.set(window, (this.windows.get(window) ?? 0) + 1)
      const count = (this.counts.get(key) ?? 0) + 1
      this.counts.set(key, count)
      return recordOf(`${key} ${count}`, key, { timestamp })
    })
    await writeAll(sink, made)
    const close$ = sink.close?.()
    if (close$ !== undefined) await new Promise<void>((resolve) => close$.subscribe({ complete: resolve }))
  }

  /** Writes records without end, until it is called back. */
  flood(): () => Promise<void> {
    return flooding(() => this.send(60), 30)
  }

  /** Takes over the transactional ids of all that write, as a stranger would. */
  async fence(): Promise<number> {
    const reader = new LogReader({ 'metadata.broker.list': this.brokers })
    await reader.connect()
    const log = `${this.name}.flow.${this.in}.checkpoints`
    const logs = Array.from({ length: this.partitions }, (_, partition) => ({ topic: log, partition, offset: 0 }))
    reader.assign(logs)
    const owners = new Map<number, string>()
    await reader.read(
      (message) => {
        const entry = entryOf(message)
        if (entry.kind === 'committed') owners.set(message.partition, entry.owner)
      },
      () => logs.every((partition) => reader.hasEnded(partition)),
    )
    await reader.close()
    for (const owner of new Set(owners.values())) {
      const producer = new TransactionalProducer(await this.connection.settings(), owner)
      await producer.init()
      await producer.close()
    }
    return new Set(owners.values()).size
  }

  start(die?: string): Worker {
    const { name: APP, in: IN, out: OUT, brokers: BROKERS, kind: FLOW } = this
    return new Worker({ APP, IN, OUT, BROKERS, FLOW, ...(die === undefined ? {} : { DIE: die }) })
  }

  /** What came out, as soon as it is as much as has to, and then what comes in half a second more. */
  async results(): Promise<Result> {
    const all = await this.read()
    const numbers = new Map<string, number[]>()
    for (const [key, number] of all.map((text) => text.split(' ') as [string, string])) {
      numbers.set(key, [...(numbers.get(key) ?? []), Number(number)])
    }
    // What is tried again later comes behind others of its key.
    if (this.kind === 'retried') for (const all of numbers.values()) all.sort((one, other) => one - other)
    return resultOf(numbers)
  }

  /** What has to come out: every number of every key, or the count of every window, once and in order. */
  get expected(): Result {
    if (this.kind === 'windows') return resultOf([...this.windows].map(([window, count]) => [window, [count]]))
    return resultOf(
      [...this.counts].map(([key, count]) => [key, Array.from({ length: count }, (_, index) => index + 1)]),
    )
  }

  private async read(): Promise<string[]> {
    const reader = new LogReader({ 'metadata.broker.list': this.brokers })
    await reader.connect()
    reader.assign(
      Array.from({ length: this.partitions }, (_, partition) => ({ topic: this.out, partition, offset: 0 })),
    )
    const values: string[] = []
    const enough = this.kind === 'windows' ? this.windows.size : this.sent
    const deadline = Date.now() + 180_000
    let enoughAt = Number.POSITIVE_INFINITY
    await reader.read(
      (message) => {
        values.push(String(message.value))
        if (values.length >= enough) enoughAt = Math.min(enoughAt, Date.now())
      },
      () => Date.now() > deadline || Date.now() > enoughAt + 500,
    )
    await reader.close()
    return values
  }

  private sink(topic: string) {
    return sinkOf(this.connection, { topic, partitions: this.partitions })
  }
}

/** Sends again and again, with a pause between, until it is called back, or the test has ended. */
export function flooding(send: () => Promise<void>, pauseMs: number): () => Promise<void> {
  let isOn = true
  const flooded = (async () => {
    while (isOn) {
      await send()
      await sleep(pauseMs)
    }
  })()
  const stop = () => {
    isOn = false
    return flooded
  }
  onTestFinished(stop)
  return stop
}

type Result = Readonly<Record<string, readonly number[]>>

function resultOf(numbers: Iterable<readonly [string, readonly number[]]>): Result {
  return Object.fromEntries([...numbers].sort(([one], [other]) => one.localeCompare(other)))
}

/** A process, that of `exactly-once-process.ts` if not told otherwise; it ends with its test. */
export class Worker {
  readonly child: ChildProcess
  readonly exited: Promise<unknown>
  private epochs = 0
  log = ''

  constructor(environment: Readonly<Record<string, string>>, file = script) {
    this.child = spawn(process.execPath, [jiti, file], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.exited = once(this.child, 'close')
    this.child.stdout?.on('data', (dots: Buffer) => {
      this.epochs += dots.length
    })
    this.child.stderr?.on('data', (text: Buffer) => {
      this.log += text.toString()
      if (process.env['VERBOSE']) console.error(text.toString())
    })
    onTestFinished(async () => {
      this.signal('SIGKILL')
      await this.exited
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  /** Until so many epochs more with records are committed. */
  async working(epochs = 1): Promise<void> {
    const wanted = this.epochs + epochs
    const deadline = Date.now() + 180_000
    while (this.epochs < wanted) {
      if (Date.now() > deadline || this.child.exitCode !== null) throw new Error(`the worker does nothing\n${this.log}`)
      await sleep(10)
    }
  }
}
