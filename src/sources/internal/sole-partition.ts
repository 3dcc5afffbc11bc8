import { concat, NEVER, type Observable, of } from 'rxjs'
import type { Assigned, Position, TopicPartition } from '../../model/index.js'

/** The assignment of a source that has one partition, which no group can take from it. */
export function soleAssignment(partition: TopicPartition, start: Assigned['start']): Observable<Assigned> {
  return concat(of<Assigned>({ kind: 'assigned', partitions: [partition], total: 1, start }), NEVER)
}

/** The offset of this partition, among positions that may be those of other sources too. */
export function offsetOf({ topic, partition }: TopicPartition, positions: readonly Position[]): number | undefined {
  return positions.find((position) => position.topic === topic && position.partition === partition)?.offset
}
