import { type Observable, tap } from 'rxjs'
import {
  defineSource,
  type Epoch,
  type Logger,
  PartitionMap,
  type Position,
  place,
  type SourceTask,
  type StreamRecord,
  WeirError,
} from '../../model/index.js'
import { jointOptions } from './repartition-sink.js'

/** The beginning of a task that goes on with the records of another. */
export const repartitionSource = defineSource({
  name: 'repartition.source',
  summary: 'Takes records from another task of the flow.',
  options: jointOptions,
  replayable: true,
  // Behind it results wait for the end of an epoch a second time: they need not wait as long.
  epoch: { everyMs: 250 },
  detail: ({ topic }) => topic,
  build(joint, { flow, stage, log, instance, connection }) {
    const request = { ...joint, instance, place: { flow, stage }, log }
    return gapless(joint.channel.source(connection(joint.connectionKind), request), log)
  },
})

/**
 * Nothing is deleted of an internal topic before it is committed: who finds a gap has lost the partition to a task that has
 * gone on, and was not told yet. Results without what is missing would be wrong, so it begins anew. Who is given the
 * position before a gap again has it: what was kept was too little, and the rest is all there is.
 */
function gapless(source: SourceTask, log: Logger): SourceTask {
  const known = new PartitionMap<number>()
  const check = ({ topic, partition, offset }: Position, next: number) => {
    if (offset === next) return
    const gap = `reading an internal topic: ${place({ topic, partition, offset: next })} is gone`
    if (known.get(topic, partition) !== next) {
      known.set(topic, partition, next)
      throw new WeirError('WEIR_CHECKPOINT_FENCED', `${gap}: another task has gone on from there`)
    }
    log.warn({ topic, partition, from: next, to: offset }, `${gap} before it was read; what comes after it goes on`)
  }
  return {
    assignments$: source.assignments$,
    read(epoch: Epoch): Observable<StreamRecord> {
      const positions = new PartitionMap<number>()
      for (const { topic, partition, offset } of source.positions()) positions.set(topic, partition, offset)
      return source.read(epoch).pipe(
        tap(({ origin }) => {
          const { topic, partition, offset } = origin
          check(origin, positions.get(topic, partition) ?? offset)
          positions.set(topic, partition, offset + 1)
        }),
      )
    },
    positions: () => source.positions(),
    rewind: (positions, error) => source.rewind(positions, error),
    commit: (positions) => source.commit(positions),
    ends: () => source.ends(),
    failed: (error) => source.failed?.(error),
    trouble: () => source.trouble?.(),
  }
}
