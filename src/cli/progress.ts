import { concat, lastValueFrom } from 'rxjs'
import { type Engine, flowOf } from '../engine/index.js'
import type { CheckpointStore, HeldPartition } from '../model/index.js'
import type { Prepared } from './prepare.js'
import { storesOf } from './stored.js'

/** A partition, and what keeps it. */
export interface Kept {
  readonly held: HeldPartition
  readonly checkpoints: CheckpointStore
}

/** All that checkpoint stores have of partitions, of one flow or of all. Errors: WEIR_CHECKPOINT_UNREACHABLE and others. */
export async function keptOf(engine: Engine, prepared: Prepared, flow?: string): Promise<Kept[]> {
  const { topology } = prepared
  const all: Kept[] = []
  for (const name of storesOf(prepared)) {
    const checkpoints = engine.checkpointStore(name)
    for (const held of await lastValueFrom(concat(checkpoints.open(), checkpoints.list(topology.app))))
      if (flow === undefined || flowOf(held.task, topology) === flow) all.push({ held, checkpoints })
  }
  return all
}

/** What there is in place of what was asked for. */
export function thereIs(what: string, names: readonly string[]): string {
  if (names.length === 0) return `there is no ${what}`
  return names.length === 1 ? `there is ${what} ${names[0]}` : `there are ${what}s ${names.join(', ')}`
}
