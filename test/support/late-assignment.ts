import { defer, EMPTY, endWith, ignoreElements, map, mergeMap, type SchedulerLike, timer } from 'rxjs'
import type { Assigned, Epoch, SourceTask } from '../../src/model/index.js'
import type { VirtualFlow } from '../../src/testing/virtual-flow.js'

/** Has the group of a source answer after so long, ms. As a reader of Kafka, it tells of nothing before that. */
export function assignLater(virtual: VirtualFlow, source: number, ms: number, scheduler: SchedulerLike): void {
  const task = (virtual as unknown as { sources: SourceTask[] }).sources[source] as SourceTask
  const { assignments$, positions, read, ends } = task
  let isAssigned = false
  const late$ = defer(() => {
    // Whoever begins anew was given nothing yet.
    isAssigned = false
    return timer(ms, scheduler)
  })
  const assigned$ = late$.pipe(
    mergeMap(() => assignments$),
    map((change) => {
      const { start } = change as Assigned
      const begin: Assigned['start'] = (from) => {
        isAssigned = true
        return start(from)
      }
      return { ...(change as Assigned), start: begin }
    }),
  )
  Object.assign(task, {
    assignments$: assigned$,
    positions: () => (isAssigned ? positions.call(task) : []),
    ends: () => (isAssigned ? ends.call(task) : EMPTY),
    read: (epoch: Epoch) =>
      isAssigned ? read.call(task, epoch) : epoch.cut$.pipe(ignoreElements(), endWith(undefined), ignoreElements()),
  })
}
