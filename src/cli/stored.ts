import { dirname, join } from 'node:path'
import { concat, concatMap, from, lastValueFrom, reduce } from 'rxjs'
import { Engine, planState, type StateChange, type StoredState, surveyState } from '../engine/index.js'
import { silentLogger, systemClock } from '../model/index.js'
import { WorkerHttpServer } from '../worker/http-server.js'
import type { Prepared } from './prepare.js'

/** What is stored of an app, and what a configuration would make of it. */
export interface Stored {
  readonly engine: Engine
  readonly states: readonly StoredState[]
  readonly changes: readonly StateChange[]
}

/** Builds every stage, but runs none, and reads the checkpoint stores. Errors: WEIR_CHECKPOINT_UNREACHABLE and others. */
export async function withStored<T>(prepared: Prepared, use: (stored: Stored) => T | Promise<T>): Promise<T> {
  const { topology } = prepared
  return withEngine(prepared, async (engine) => {
    const surveys = storesOf(prepared).map((name) => surveyState(engine.checkpointStore(name), name, topology.app))
    const all$ = concat(...surveys).pipe(
      concatMap((states) => from(states)),
      reduce((all: StoredState[], state) => [...all, state], []),
    )
    const states = await lastValueFrom(all$)
    return use({ engine, states, changes: planState(topology, engine.kept, states) })
  })
}

/** Builds every stage, but runs none. */
export async function withEngine<T>(
  { topology, environment, file }: Prepared,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = new Engine(topology, {
    clock: systemClock,
    log: silentLogger,
    http: new WorkerHttpServer(silentLogger),
    production: environment['NODE_ENV'] === 'production',
    dataDirectory: join(dirname(file), '.weir'),
  })
  try {
    return await use(engine)
  } finally {
    await engine.close()
  }
}

/** The connections that keep checkpoints; what is in memory ends with its process. */
export function storesOf({ topology: { checkpoints, flows } }: Prepared): string[] {
  return [...new Set([checkpoints, ...flows.map((flow) => flow.checkpoints)])].filter((name) => name !== 'memory')
}

export function countText(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}

export function sizeText(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB']
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1)
  return `${(bytes / 1_000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
