import { defer, ignoreElements, merge, type Observable, Subject, tap } from 'rxjs'
import { asWeirError, type StreamRecord } from '../model/index.js'
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
    defer(() => {
      const lanes = branches.map(() => new Subject<StreamRecord>())
      const routed$ = records$.pipe(
        tap({
          next: (record) => lanes[branches.findIndex(({ node }) => takes(node, record))]?.next(record),
          complete: () => {
            for (const lane of lanes) lane.complete()
          },
        }),
        ignoreElements(),
      )
      return merge(...branches.map(({ run }, index) => run(lanes[index] as Records)), routed$)
    })
}

function takes({ name, when }: BranchNode, record: StreamRecord): boolean {
  try {
    return when === undefined || when(record.value, record)
  } catch (error) {
    const { topic, partition, offset } = record.origin
    throw asWeirError(error, 'WEIR_STAGE_FAILED', { stage: name, partition: { topic, partition }, offset })
  }
}
