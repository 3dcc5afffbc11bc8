import type { OperatorFunction, SchedulerLike, Subscription } from 'rxjs'
import { operate } from '../../model/index.js'

export interface GatherOptions<T> {
  /** How many values are written together at most. */
  readonly size: number
  /** How long the first of them waits for others at most, ms. */
  readonly withinMs: number
  readonly scheduler: SchedulerLike
  /** A value that waits for no others, because it is many already. */
  readonly isWhole: (value: T) => boolean
}

/** Gathers values that follow each other closely, so that they are written together. The end flushes what waits. */
export function gather<T>({ size, withinMs, scheduler, isWhole }: GatherOptions<T>): OperatorFunction<T, T[]> {
  return operate((output) => {
    let gathered: T[] = []
    let timer: Subscription | undefined
    const flush = () => {
      timer?.unsubscribe()
      timer = undefined
      if (gathered.length === 0) return
      const values = gathered
      gathered = []
      output.next(values)
    }
    output.add(() => timer?.unsubscribe())
    return {
      next(value) {
        if (gathered.push(value) >= size || isWhole(value)) flush()
        else timer ??= scheduler.schedule(flush, withinMs)
      },
      complete: flush,
    }
  })
}
