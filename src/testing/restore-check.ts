import { inspect } from 'node:util'
import type { Observable } from 'rxjs'
import type { Engine } from '../engine/index.js'
import { type CheckpointStore, partitionName, type StoredChunk } from '../model/index.js'

/** So many epochs are looked at one by one, and then every so many: all of the log is read each time. */
const each = 32
const every = 16

/**
 * Compares what a flow has in memory with what a restore would bring, after its commits: state that was changed without
 * `touch`, or that its codec doesn't keep, is right until the process ends, and lost then.
 */
export class RestoreCheck {
  private epochs = 0

  constructor(
    private readonly engine: Engine,
    private readonly checkpoints: Pick<CheckpointStore, 'list' | 'load'>,
    private readonly app: string,
  ) {}

  /** Called when an epoch was committed. Returns what is wrong, as text. */
  committed(part: string): string | undefined {
    if (++this.epochs > each && this.epochs % every > 0) return undefined
    const task = `${this.app}.${part}`
    const kept = this.engine.kept.find((one) => one.task === task)
    if (kept === undefined) return undefined
    for (const partition of this.held(task)) {
      const found = kept.stores.unlike(partition, this.log(task, partition))
      if (found === undefined) continue
      const { store, segment, key, inMemory, restored } = found
      const where = `${key === null ? 'null' : JSON.stringify(key)}${segment === 0 ? '' : ` of segment ${segment}`}`
      const differ = `${inspect(inMemory)} in memory, and ${inspect(restored)} after a restore`
      return `the store '${store}' of ${partitionName(partition)} would not come back: the entry ${where} is ${differ}. Touch an entry when its value changes, and have its codec keep all of it.`
    }
    return undefined
  }

  private held(task: string) {
    return now(this.checkpoints.list(this.app))
      .flat()
      .filter((one) => one.task === task)
  }

  private log(task: string, partition: Parameters<CheckpointStore['load']>[1]): StoredChunk[] {
    return now(this.checkpoints.load(task, partition))
  }
}

/** What checkpoints in memory answer, which they do at once. */
function now<T>(source$: Observable<T>): T[] {
  const all: T[] = []
  source$.forEach((value) => void all.push(value)).catch(() => undefined)
  return all
}
