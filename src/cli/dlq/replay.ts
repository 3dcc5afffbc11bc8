import { lastValueFrom } from 'rxjs'
import { InputTrial, retryTopicsOf } from '../../engine/index.js'
import type { OutgoingMessage } from '../../kafka/producer.js'
import { StreamRecord, systemClock } from '../../model/index.js'
import { audited, type Counts } from '../audit.js'
import { exitCodes, type Io, type Signal, UsageError } from '../io.js'
import { untilSignal } from '../kafka.js'
import { countOption } from '../number-option.js'
import { countText } from '../stored.js'
import { deedOf } from './deed.js'
import { atPlaces, type FilterOptions, filterOf, type LetterFilter } from './filter.js'
import { allLetters, type Letter } from './letters.js'
import { Marking } from './marking.js'
import { Planner, type PlanOptions, type Through } from './plan.js'
import { Tally } from './tally.js'
import { transformOf } from './transform.js'
import { atDesk, type Desk, type LetterTopic, type WhereOptions } from './where.js'

export interface ReplayOptions extends WhereOptions, FilterOptions {
  readonly to?: string
  readonly through?: string
  readonly transform?: string
  readonly limit?: string
  readonly maxAttempts?: string
  readonly again?: boolean
  readonly dryRun?: boolean
}

interface Replaying {
  readonly desk: Desk
  readonly isMeant: LetterFilter
  readonly plan: PlanOptions
  readonly limit: number
  readonly tally: Tally
  signal(): Signal | undefined
}

const usualAttempts = '3'

/**
 * `weir dlq replay [letter…]`: writes the records of dead letters again, to the topics that they were read from or to another
 * one, each once: the transaction that has a record marks its letter.
 */
export async function replay(places: readonly string[], options: ReplayOptions, io: Io): Promise<number> {
  const isMeant = filterOf(options, places)
  const limit =
    options.limit === undefined ? Number.POSITIVE_INFINITY : countOption('--limit', options.limit, 'letters')
  const maxAttempts = countOption('--max-attempts', options.maxAttempts ?? usualAttempts, 'tries')
  const transform = options.transform === undefined ? undefined : await transformOf(options.transform, io)
  return untilSignal(io, (signal) =>
    atDesk(atPlaces(options, places), io, async (desk) => {
      const plan = { ...options, through: throughOf(options, desk), maxAttempts, transform }
      const replaying = { desk, isMeant, plan, limit, tally: new Tally(), signal }
      if (options.to !== undefined) await checkTopic(options.to, desk)
      if (options.dryRun) return dryRun(replaying)
      const deed = deedOf('dlq.replay', places, options, desk)
      return audited(desk, deed, io, (tell) => writing(replaying, tell))
    }),
  )
}

/** The shortest retry topic of a flow: it takes what is to be tried at once. */
function throughOf({ through: name, to }: ReplayOptions, { prepared }: Desk): Through | undefined {
  if (name === undefined) return undefined
  if (to !== undefined) throw new UsageError('--through and --to name two places: say one of them')
  const flow = prepared.topology.flows.find((one) => one.name === name)
  if (flow === undefined) throw new UsageError(`--through: the configuration has no flow '${name}'`)
  const [first] = retryTopicsOf(flow)
  if (first === undefined)
    throw new UsageError(
      `--through: flow '${name}' has no retry topics: give one of its stages onError: retry({ tiers: ['1m'] })`,
    )
  return { flow: name, topic: first.topic }
}

/** A topic that was mistyped is none to make. */
async function checkTopic(topic: string, { topics }: Desk): Promise<void> {
  for (const { connection } of topics) {
    const seen = await connection.topics.describe([topic])
    if (seen.get(topic) === undefined) throw new UsageError(`--to: there is no topic '${topic}'`)
  }
}

async function writing(replaying: Replaying, tell: (counts: Counts) => void): Promise<number> {
  const { desk, tally, signal } = replaying
  const { io, prepared } = desk
  let written = 0
  for (const topic of desk.topics) {
    const marking = new Marking(topic)
    try {
      await writeOf(topic, marking, { ...replaying, limit: replaying.limit - written })
    } catch (error) {
      tell({ records: written + marking.committed })
      const done = countText(written + marking.committed, 'record')
      io.stderr.write(`${done} written, each marked; the same command goes on with the others\n`)
      throw error
    } finally {
      await marking.close()
    }
    written += marking.committed
    tell({ records: written })
  }
  io.stdout.write(prepared.redact(`${[...tally.text(io), `${countText(written, 'record')} written`].join('\n')}\n`))
  const heard = signal()
  if (heard === undefined) return exitCodes.ok
  io.stderr.write('stopped before the end: the same command goes on there\n')
  return exitCodes[heard]
}

async function writeOf(
  { connection }: LetterTopic,
  marking: Marking,
  { isMeant, plan, limit, tally, signal }: Replaying,
): Promise<void> {
  const planner = new Planner(connection, plan)
  let written = 0
  for await (const letters of marking.open()) {
    for (const letter of letters) {
      if (signal() !== undefined || written >= limit) return marking.end()
      if (!isMeant(letter)) continue
      const planned = await planner.of(letter)
      if (planned.is === 'left') {
        tally.add(planned.why, letter)
        continue
      }
      const { message } = planned
      const at = new Date().toISOString()
      await marking.mark(letter, { state: 'replayed', at, to: message.topic, of: letter.record }, message)
      tally.add(`written to ${message.topic}`, letter)
      written++
    }
  }
  await marking.end()
}

/** What would happen, and what the flows that read there would say of it as they are now. */
async function dryRun({ desk, isMeant, plan, limit, tally, signal }: Replaying): Promise<number> {
  const { io, prepared } = desk
  const trials = new Trials(desk, plan.through)
  let written = 0
  for (const topic of desk.topics) {
    const planner = new Planner(topic.connection, plan)
    reading: for await (const letters of allLetters([topic])) {
      for (const letter of letters) {
        if (signal() !== undefined || written >= limit) break reading
        if (!isMeant(letter)) continue
        const planned = await planner.of(letter)
        if (planned.is === 'written') written++
        tally.add(planned.is === 'left' ? planned.why : await trials.told(planned.message, letter), letter)
      }
    }
  }
  const checks = trials.checks()
  const end = [`${countText(written, 'record')} would be written`, ...(written > 0 ? checks : [])]
  io.stdout.write(prepared.redact(`${[...tally.text(io), ...end].join('\n')}\n`))
  return exitCodes.ok
}

/** Asks the flows that read a topic. */
class Trials {
  private readonly known = new Map<string, readonly InputTrial[]>()

  constructor(
    private readonly desk: Desk,
    private readonly through: Through | undefined,
  ) {}

  async told(message: OutgoingMessage, { facts }: Letter): Promise<string> {
    const { topic, partition = -1, key, value, timestamp, headers } = message
    const all = this.through === undefined ? this.of(topic) : this.ofFlow(this.through.flow)
    // What one flow has rejected others may have taken.
    const isAny = this.through !== undefined || facts.writer !== 'weir'
    const own = isAny ? all : all.filter(({ flow }) => flow === facts.flow)
    const record = new StreamRecord(key, value, timestamp, headers, { topic, partition, offset: -1 })
    for (const trial of own) {
      const fault = await lastValueFrom(trial.try(record))
      if (fault === undefined) continue
      return `would be written to ${topic}, and rejected by '${trial.flow}': ${fault.code}`
    }
    return `would be written to ${topic}`
  }

  /** What it was held to. */
  checks(): string[] {
    return [...this.known].map(([topic, trials]) => {
      const told = trials.map(
        ({ flow, stages }) => `'${flow}' (${stages.length === 0 ? 'no stage' : stages.join(', ')})`,
      )
      return told.length === 0
        ? `no flow of this configuration reads ${topic}: what becomes of it there was not looked at`
        : `held to ${told.join(', ')} as of now; nothing was written`
    })
  }

  private ofFlow(name: string): readonly InputTrial[] {
    const flow = this.desk.prepared.topology.flows.find((one) => one.name === name)
    const sources = flow?.parts.flatMap(({ inputs }) => inputs.map(({ source }) => source)) ?? []
    const topics = sources.flatMap(({ definition, options }) => definition.reads?.(options).topics ?? [])
    return topics.flatMap((topic) => this.of(topic)).filter((trial) => trial.flow === name)
  }

  private of(topic: string): readonly InputTrial[] {
    const { engine, prepared } = this.desk
    const known = this.known.get(topic)
    if (known !== undefined) return known
    const { app } = prepared.topology
    const connection = (name: string) => engine.connection(name)
    const trials = InputTrial.of(topic, prepared.topology, { app, clock: systemClock, connection })
    this.known.set(topic, trials)
    return trials
  }
}
