import { merge, Observable, Subject } from 'rxjs'
import type { StreamRecord } from '../model/index.js'
import type { BranchNode } from './topology.js'

type Records = Observable<StreamRecord>

/**
 * Hands each record to the first branch that takes it, as Kafka Streams does; what no branch takes goes nowhere. All
 * branches are subscribed before the first record comes, and the result completes when each of them has.
 */
export function branching(
  branches: readonly { node: BranchNode; run: (records$: Records) => Observable<unknown> }[],
): (records$: Records) => Observable<unknown> {
  return (records$) =>
    new Observable((subscriber) => {
      const lanes = branches.map(() => new Subject<StreamRecord>())
      subscriber.add(merge(...branches.map(({ run }, index) => run(lanes[index] as Records))).subscribe(subscriber))
      const route = (record: StreamRecord) => {
        const index = branches.findIndex(({ node }) => node.when === undefined || node.when(record.value, record))
        lanes[index]?.next(record)
      }
      const routed = records$.subscribe({
        next: (record) => {
          try {
            route(record)
          } catch (error) {
            subscriber.error(error)
          }
        },
        error: (error: unknown) => subscriber.error(error),
        complete: () => lanes.forEach((lane) => lane.complete()),
      })
      subscriber.add(routed)
    })
}
