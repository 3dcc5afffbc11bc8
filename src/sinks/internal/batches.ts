import { concatMap, type Observable, toArray } from 'rxjs'
import { Batch, recordFault, type SinkContext, type StreamRecord } from '../../model/index.js'
import { gather } from './gather.js'

/** How long a single value may wait for others to be written with it, ms. */
const gatherMs = 20

export interface BatchSettings {
  readonly batchSize: number
}

/** Records that can be had again by their number. */
type Members = Pick<Batch, 'record'>

/** What records make of themselves, in batches that are written together. */
export class Batches<T> {
  constructor(
    private readonly settings: BatchSettings,
    private readonly context: SinkContext,
    /** `writing to table items`, for error texts. */
    private readonly doing: string,
    /** What one record is written as. Who may have to find it again keeps its number among the members, and not the record. */
    private readonly make: (record: StreamRecord, members: Members, index: number) => T,
  ) {}

  /** As records arrive: those that follow each other closely share a batch. */
  of(records$: Observable<StreamRecord>): Observable<readonly T[]> {
    const { batchSize } = this.settings
    const { scheduler } = this.context.clock
    return records$.pipe(
      gather({ size: batchSize, withinMs: gatherMs, scheduler, isWhole: isBatch }),
      concatMap((records) => this.split(records)),
    )
  }

  /** When all records are there. */
  ofAll(records$: Observable<StreamRecord>): Observable<readonly T[]> {
    return records$.pipe(
      toArray(),
      concatMap((records) => this.split(records)),
    )
  }

  /** Single values in batches of `batchSize`; what `batch` gathered as the one batch that it is. */
  private *split(records: readonly StreamRecord[]): Generator<readonly T[]> {
    const singles: Members = { record: (index) => records[index] as StreamRecord }
    let batch: T[] = []
    for (let index = 0; index < records.length; index++) {
      const record = singles.record(index)
      const isWhole = isBatch(record)
      if (batch.length > 0 && (isWhole || batch.length >= this.settings.batchSize)) {
        yield batch
        batch = []
      }
      if (isWhole) yield this.unpacked(record.value)
      else this.add(batch, singles, index)
    }
    if (batch.length > 0) yield batch
  }

  private unpacked(members: Batch): T[] {
    const batch: T[] = []
    for (let index = 0; index < members.length; index++) this.add(batch, members, index)
    return batch
  }

  private add(batch: T[], members: Members, index: number): void {
    const record = members.record(index)
    try {
      batch.push(this.make(record, members, index))
    } catch (error) {
      this.context.reject(record, recordFault(error, this.doing))
    }
  }
}

function isBatch(record: StreamRecord): record is StreamRecord<Batch> {
  return record.value instanceof Batch
}
