import { dirname, relative } from 'node:path'
import {
  catchError,
  concatMap,
  EMPTY,
  from,
  ignoreElements,
  lastValueFrom,
  type Observable,
  of,
  tap,
  timer,
} from 'rxjs'
import { describeConfigError } from '../config/describe.js'
import { type Signatures, sign } from '../config/signature.js'
import { sharedRoutes } from '../engine/between-flows.js'
import {
  ConfigError,
  type Engine,
  planState,
  type StateChange,
  type StoredState,
  stateFaults,
  surveyState,
  type Topology,
} from '../engine/index.js'
import { type Logger, WeirError } from '../model/index.js'
import { checkSchemas } from './check-schemas.js'
import { instanceOf } from './instance.js'
import type { Io } from './io.js'
import type { Prepared } from './prepare.js'
import { withEngine } from './stored.js'

/** A configuration that runs, or could, and what its flows are known by. */
interface Version {
  readonly prepared: Prepared
  readonly signatures: Signatures
}

/** What one configuration makes of the flows of another. */
interface FlowChanges {
  readonly goOn: readonly string[]
  readonly restart: readonly string[]
  readonly begin: readonly string[]
  readonly end: readonly string[]
}

interface ReloadParts {
  readonly engine: Engine
  readonly log: Logger
  readonly io: Io
  /** Loads the configuration as it is now. */
  load(): Promise<Prepared>
  /** Is told of a configuration before it runs. */
  took(prepared: Prepared): void
}

/** How long flows that are stopped may take to drain, as at the end of a worker, ms. */
const drainMs = 30_000

export function versionOf(prepared: Prepared): Version {
  const { topology, code, file } = prepared
  return { prepared, signatures: sign(topology, code, dirname(file)) }
}

/** What the flows of one configuration are in another, by what each is known by. */
export function flowChanges(before: Signatures['flows'], next: Signatures['flows']): FlowChanges {
  const both = [...next.keys()].filter((name) => before.has(name))
  return {
    goOn: both.filter((name) => before.get(name) === next.get(name)),
    restart: both.filter((name) => before.get(name) !== next.get(name)),
    begin: [...next.keys()].filter((name) => !before.has(name)),
    end: [...before.keys()].filter((name) => !next.has(name)),
  }
}

/** Reloads the configuration of an engine that runs. One reload follows another; those asked for meanwhile are one. */
export class Reloads {
  private asked = 0
  private begun = 0

  constructor(
    private running: Version,
    private readonly parts: ReloadParts,
  ) {}

  /** Reloads whenever it is asked to. Errors when a flow can't be built that could be a moment before. */
  run(asked$: Observable<unknown>): Observable<never> {
    return asked$.pipe(
      tap(() => this.asked++),
      concatMap(() => (this.begun === this.asked ? EMPTY : this.reload())),
      ignoreElements(),
    )
  }

  private reload(): Observable<never> {
    // Signals that have come already are told one by one before that.
    return timer(0).pipe(
      concatMap(() => {
        this.begun = this.asked
        return this.next()
      }),
      catchError((error: unknown) => of(this.refused(error))),
      concatMap((found) => (found === undefined ? EMPTY : this.change(found))),
    )
  }

  private change({ version, changes, state }: Found): Observable<never> {
    const { engine, log } = this.parts
    const { topology } = version.prepared
    const { signatures } = this.running
    const same = [...version.signatures.connections].filter(([name, one]) => signatures.connections.get(name) === one)
    const goingOn = { flows: new Set(changes.goOn), connections: new Set(same.map(([name]) => name)), drainMs }
    const tell = () => {
      this.running = version
      log.info(`reloaded: ${changesText(changes)}`)
      for (const [flow, line] of stateTexts(state)) log.info({ flow }, line)
    }
    for (const { name, warnings } of topology.flows.filter((flow) => !goingOn.flows.has(flow.name)))
      for (const { message, hint } of warnings) log.warn({ flow: name }, `${message}. ${hint}`)
    this.parts.took(version.prepared)
    return engine.replace(topology, goingOn).pipe(tap(tell), ignoreElements())
  }

  /** Loads and tries all that can be known before anything is stopped. Errors: those of `weir check`, and WEIR_CONFIG_FIXED. */
  private async next(): Promise<Found> {
    const prepared = await this.parts.load()
    const version = versionOf(prepared)
    refuseFixed(this.running, version, this.parts.io)
    const changes = flowChanges(this.known(), version.signatures.flows)
    const flows = prepared.topology.flows.filter(({ name }) => !changes.goOn.includes(name))
    const changed = { ...prepared, topology: { ...prepared.topology, flows } }
    const { faults } = await checkSchemas(changed.topology)
    const taken = sharedRoutes(prepared.topology.flows).map(({ fault }) => fault)
    if (faults.length + taken.length > 0) throw new ConfigError([...faults, ...taken])
    return { version, changes, state: await this.stateOf(changed, changes) }
  }

  /** What runs; a flow that has failed is to begin again, whatever has changed. */
  private known(): Signatures['flows'] {
    const failed = new Set(this.parts.engine.status().flatMap(({ flow, state }) => (state === 'failed' ? [flow] : [])))
    return new Map([...this.running.signatures.flows].map(([flow, one]) => [flow, failed.has(flow) ? '' : one]))
  }

  /** What becomes of the state of flows that restart; it is looked at where some would be lost. */
  private async stateOf(changed: Prepared, { restart }: FlowChanges): Promise<readonly StateChange[]> {
    const { engine } = this.parts
    const own = engine.kept.filter(({ flow }) => restart.includes(flow))
    return withEngine(changed, async (trial) => {
      const kept = trial.kept.map((state) => ({ ...state, task: lasting(state.task) }))
      const running = own.flatMap(({ task, where, stores }): StoredState[] =>
        stores.names.map((store) => {
          const version = stores.codecOf(store)?.version
          const versions = version === undefined ? [] : [version]
          return { where, task: lasting(task), store, partitions: 1, keys: 1, bytes: 0, versions }
        }),
      )
      const state = planState(changed.topology, kept, running)
      if (state.every(({ fate }) => fate !== 'dropped')) return state
      const stored = await storedBy(engine, [...new Set(own.map(({ where }) => where))], changed.topology)
      const faults = stateFaults(
        planState(
          changed.topology,
          kept,
          stored.filter(({ task }) => own.some((one) => lasting(one.task) === task)),
        ),
      )
      if (faults.length > 0) throw new ConfigError(faults)
      return state.filter(({ fate }) => fate !== 'dropped')
    })
  }

  private refused(error: unknown): undefined {
    const { log, io } = this.parts
    const redact = io.secrets?.redact ?? ((text: string) => text)
    const code = error instanceof WeirError ? { code: error.code } : {}
    log.error(code, `not reloaded, all goes on as it was: ${redact(describeConfigError(error, io.cwd))}`)
  }
}

interface Found {
  readonly version: Version
  readonly changes: FlowChanges
  readonly state: readonly StateChange[]
}

/** What a process is as long as it lives. */
function refuseFixed(before: Version, next: Version, io: Io): void {
  const fixedOf = ({ prepared: { topology, http, audit, environment }, signatures }: Version) => ({
    app: topology.app,
    'the HTTP port (http)': JSON.stringify(http),
    audit: JSON.stringify(audit),
    'the connection of the audit': audit && signatures.connections.get(audit.connection),
    LOG_LEVEL: environment['LOG_LEVEL'],
    OTEL_EXPORTER_OTLP_ENDPOINT: environment['OTEL_EXPORTER_OTLP_ENDPOINT'],
    NODE_ENV: environment['NODE_ENV'],
    WEIR_WORKERS: environment['WEIR_WORKERS'],
    'the name of this process in groups (WEIR_INSTANCE_ID)': instanceOf(environment, io.worker?.number),
  })
  const [stale] = next.prepared.code.stale
  if (stale !== undefined)
    throw new WeirError('WEIR_CONFIG_FIXED', `reloading the configuration: ${relative(io.cwd, stale)} has changed`, {
      hint: 'Restart the process: Node loads a module of JavaScript once. Modules of TypeScript are loaded again.',
    })
  const [was, is] = [fixedOf(before), fixedOf(next)]
  const changed = (Object.keys(was) as (keyof typeof was)[]).filter((name) => was[name] !== is[name])
  if (changed.length === 0) return
  throw new WeirError('WEIR_CONFIG_FIXED', `reloading the configuration: it changes ${changed.join(' and ')}`, {
    hint: 'Restart the process, or set it back: a reload changes flows and connections only.',
  })
}

/** A task that reads an embedded broker is named after when that began, which is no part of what it is. */
function lasting(task: string): string {
  return task.replace(/\.\d{13}$/, '')
}

async function storedBy(engine: Engine, stores: readonly string[], { app }: Topology): Promise<StoredState[]> {
  const surveyed$ = from(stores).pipe(concatMap((name) => surveyState(engine.checkpointStore(name), name, app)))
  const all: StoredState[] = []
  await lastValueFrom(surveyed$.pipe(tap((states) => all.push(...states))), { defaultValue: undefined })
  return all.map((state) => ({ ...state, task: lasting(state.task) }))
}

function changesText({ goOn, restart, begin, end }: FlowChanges): string {
  if (restart.length + begin.length + end.length === 0) return 'nothing has changed'
  const texts = [
    ['restarted', restart],
    ['started', begin],
    ['stopped', end],
    ['went on', goOn],
  ] as const
  return texts.flatMap(([what, names]) => (names.length === 0 ? [] : [`${what} ${names.join(', ')}`])).join('; ')
}

const fates = {
  kept: 'state kept',
  converted: 'state kept in a new form',
  new: 'begins empty, unless it was kept earlier',
  'given up': 'state given up',
  unused: 'state stays where it was, unused',
} as const

/** A line for each flow that keeps state, or kept some. */
function stateTexts(changes: readonly StateChange[]): (readonly [flow: string, line: string])[] {
  const flows = [...new Set(changes.map(({ flow }) => flow))].filter((flow) => flow !== undefined)
  return flows.map((flow) => {
    const own = changes.filter((one) => one.flow === flow)
    const texts = Object.entries(fates).flatMap(([fate, text]) => {
      const stores = [...new Set(own.filter((one) => one.fate === fate).map(({ store }) => store))]
      return stores.length === 0 ? [] : [`${text}: ${stores.join(', ')}`]
    })
    return [flow, texts.join('; ')] as const
  })
}
