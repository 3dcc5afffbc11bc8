import { describeConfigError } from '../config/describe.js'
import {
  type ChangedTopic,
  ConfigError,
  type Engine,
  planTopics,
  type StateChange,
  stateFaults,
  topicFaults,
} from '../engine/index.js'
import { type CodecVersion, messageOf, printable } from '../model/index.js'
import { exitCodes, type Io } from './io.js'
import { type Paint, painter, table } from './paint.js'
import { type Prepared, prepare } from './prepare.js'
import { countText, sizeText, storesOf, withStored } from './stored.js'

export interface PlanOptions {
  readonly config?: string
  readonly json?: boolean
}

/** `weir plan`: what running this configuration would do to the state that is stored. 78 when that would be refused. */
export async function plan(options: PlanOptions, io: Io): Promise<number> {
  const prepared = await prepare(options, io)
  const { app } = prepared.topology
  return withStored(prepared, async ({ engine, changes }) => {
    const topics = await changedTopics(prepared, engine)
    const faults = [...stateFaults(changes), ...(typeof topics === 'string' ? [] : topicFaults(topics))]
    const ok = faults.length === 0
    if (options.json)
      io.stdout.write(prepared.redact(`${JSON.stringify({ ok, app, changes, topics, faults }, undefined, 2)}\n`))
    else {
      const where = storesOf(prepared)
      const lines = [...report(app, where, changes, painter(io.stdout, io)), ...topicLines(topics)]
      io.stdout.write(prepared.redact(`${lines.join('\n')}\n`))
      if (!ok) io.stderr.write(printable(`\n${describeConfigError(new ConfigError(faults), io.cwd)}\n`))
    }
    return ok ? exitCodes.ok : exitCodes.configuration
  })
}

function report(app: string, where: readonly string[], changes: readonly StateChange[], paint: Paint): string[] {
  if (where.length === 0) return [`app ${app} keeps its state in memory: there is nothing to plan for`]
  if (changes.length === 0) return [`app ${app} has no state in ${where.join(', ')}, and needs none`]
  const rows = changes.map(({ fate, task, store, ...change }) => [
    `${symbols[fate]} ${store}`,
    task.slice(app.length + 1),
    fate,
    whatBecomesOf({ fate, ...change }),
  ])
  return [
    `app ${app}, state in ${where.join(', ')}`,
    '',
    ...table(rows).map((line, index) => colored(line, changes[index]?.fate, paint)),
  ]
}

/** Brokers need not be there to plan; why they could not be asked is told then. */
async function changedTopics({ topology }: Prepared, engine: Engine): Promise<readonly ChangedTopic[] | string> {
  try {
    return await planTopics(topology, engine.kept, engine)
  } catch (error) {
    return messageOf(error)
  }
}

function topicLines(topics: readonly ChangedTopic[] | string): string[] {
  if (typeof topics === 'string') return ['', `topics could not be looked at: ${topics}`]
  if (topics.length === 0) return []
  const rows = topics.map(({ flow, topic, change, was, now, isRefused }) => [
    `! ${topic}`,
    flow,
    change,
    `${change === 'grown' ? `${was} → ${countText(now, 'partition')}` : topicTexts[change]}${isRefused ? ': refused' : ''}`,
  ])
  return ['', ...table(rows)]
}

const topicTexts = {
  recreated: 'it was deleted and created again',
  missing: 'it is waited for',
  forgotten: 'it is read no longer, and nobody waits for it',
} as const

const symbols = { kept: '=', converted: '~', new: '+', dropped: '-', 'given up': '-', unused: '?' } as const

function colored(line: string, fate: StateChange['fate'] | undefined, paint: Paint): string {
  if (fate === 'dropped') return paint('red', line)
  return fate === 'new' ? paint('green', line) : line
}

function whatBecomesOf(
  change: Pick<StateChange, 'fate' | 'keys' | 'bytes' | 'partitions' | 'versions' | 'version' | 'flow'>,
): string {
  const { fate, keys, bytes, partitions, versions, version, flow } = change
  const stored = `${countText(keys, 'key')}, ${sizeText(bytes)} in ${countText(partitions, 'partition')}`
  switch (fate) {
    case 'kept':
      return stored
    case 'converted':
      return `${stored}: codec version ${versions.map(versionText).join(' and ')} → ${versionText(version)}, as it is loaded`
    case 'new':
      return 'begins empty'
    case 'dropped':
      return `${stored}: refused, the flow no longer has it`
    case 'given up':
      return `${stored}: lost, as the flow says`
    case 'unused':
      return `${stored}: stays, ${flow === undefined ? 'no such flow is declared' : 'the flow keeps its state elsewhere'}`
  }
}

function versionText(version: CodecVersion | undefined): string {
  return JSON.stringify(version)
}
