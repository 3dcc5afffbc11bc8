import {
  concat,
  concatMap,
  defer,
  EMPTY,
  filter,
  from,
  ignoreElements,
  type MonoTypeOperatorFunction,
  merge,
  mergeMap,
  NEVER,
  type Observable,
  startWith,
  take,
  takeUntil,
  tap,
  timer,
} from 'rxjs'
import type { ArchiveRow, FileFormat } from '../../codecs/archive/file-format.js'
import {
  isSamePartition,
  PartitionMap,
  partitionName,
  recordFault,
  type SinkContext,
  type SinkTask,
  type Store,
  type StorePartition,
  type StreamRecord,
  type TopicPartition,
  type WeirError,
} from '../../model/index.js'
import type { BlobStore } from './blob-store.js'
import { type Cut, type CutLimits, type FolderState, isFull } from './cut.js'
import { Folders, folderCodec } from './folders.js'
import { OpenFile } from './open-file.js'
import { folderNamer, pathOf, segment } from './path.js'
import { Signal } from './signal.js'
import type { Spools } from './spool.js'
import { Upload } from './upload.js'

/** How long a partition that goes to another process is kept for its files to be stored, ms. */
const leavingMs = 10_000
/** How many files are stored at a time. */
const uploadsAtOnce = 8
/** How many bytes of rows may come before it is looked at how many are in memory. */
const lookEveryBytes = 1 << 20

/** What an archive needs of its store. */
export type ArchiveStore = Pick<BlobStore, 'state' | 'state$' | 'create' | 'list' | 'close'>

export interface ArchiveSettings extends CutLimits {
  readonly name: string
  /** How many bytes of rows may be in memory, over all files: the largest is cut before there are more. */
  readonly maxBuffered: number
  /** How many bytes of files may wait to be stored before nothing more is read. */
  readonly maxWaiting: number
  readonly format: FileFormat
  rowOf(record: StreamRecord): ArchiveRow
  /** UTC, ms: says the day of a record, and names a file by that of its first one. */
  timeOf(row: ArchiveRow): number
  /** What is between the topic and the day in its path: a text that may hold anything. */
  versionOf(row: ArchiveRow): string
}

/** A partition's files: one for each folder at the most is being filled. */
interface Lane {
  readonly partition: TopicPartition
  /** Another object, where the partition was away and has come back. */
  readonly part: StorePartition<FolderState>
  readonly folders: Folders
  readonly files: Map<string, OpenFile>
  /** The highest offset that has come. */
  read: number
}

/**
 * Writes each record into one file, whatever crashes.
 *
 * A file is filled over several epochs. Its partition's position is held back at its first record meanwhile, so that all of
 * it comes again when the process dies. When it is complete its cut is committed: which records, and under which name.
 * Only then is it stored. Whoever has the partition when that is not known to have happened makes the same file again;
 * who has lost the partition can't commit a cut, and so stores nothing but what was decided.
 */
export class ArchiveTask implements SinkTask {
  readonly lifetime$: Observable<never>
  private readonly kept: Store<FolderState>
  private opened: ArchiveStore | undefined
  private readonly lanes = new PartitionMap<Lane>()
  private uploads: Upload[] = []
  /** Whether the last epoch was committed: if not, its records come again. */
  private isCommitted = false
  /** The cuts of before that are known not to be stored: their records come again, and they are made again. */
  private readonly missing = new Set<string>()
  private readonly begun = new Signal<Upload>()
  private readonly ended = new Signal()
  private readonly folderOf = folderNamer()
  private grownBytes = 0
  /** What is going to another process with this epoch. */
  private leaving: readonly TopicPartition[] = []

  constructor(
    private readonly settings: ArchiveSettings,
    private readonly openStore: () => ArchiveStore,
    private readonly spools: Spools,
    private readonly context: SinkContext,
  ) {
    this.kept = context.store(settings.name, folderCodec)
    this.lifetime$ = this.begun.happens$.pipe(mergeMap((upload) => this.storing(upload), uploadsAtOnce))
  }

  open(): Observable<never> {
    return defer(() => {
      this.drop()
      this.opened ??= this.openStore()
      return EMPTY
    })
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      if (!this.isCommitted) this.drop()
      this.isCommitted = false
      const failed = this.uploads.find(({ error }) => error !== undefined)
      if (failed !== undefined) throw failed.error
      this.meet()
      const taken$ = records$.pipe(
        tap((record) => this.take(record)),
        ignoreElements(),
      )
      return concat(
        // What is not known by then is made again: the store takes it for what it is.
        this.lookForStored().pipe(this.unlessInterrupted()),
        taken$,
        defer(() => this.rest()),
      )
    })
  }

  /** The first offset of a partition that is in no stored file. */
  holds({ topic, partition }: TopicPartition): number | undefined {
    const lane = this.lanes.get(topic, partition)
    if (lane === undefined) return undefined
    const decided = [...lane.folders.all()].flatMap(([, { cuts }]) => cuts).filter(({ isStored }) => !isStored)
    const first = [...decided, ...lane.files.values()].map((file) => file.first)
    return first.length === 0 ? undefined : Math.min(...first)
  }

  committed(): Observable<never> {
    return defer(() => {
      this.isCommitted = true
      for (const upload of this.uploads) this.start(upload)
      const { leaving } = this
      const going = this.uploads.filter((upload) => leaving.some((one) => isSamePartition(one, upload.partition)))
      return this.until(() => going.every(({ isOver }) => isOver)).pipe(
        takeUntil(timer(leavingMs, this.context.clock.scheduler)),
      )
    })
  }

  close(): Observable<never> {
    return defer(() => {
      this.drop()
      const { opened } = this
      this.opened = undefined
      return opened?.close() ?? EMPTY
    })
  }

  trouble(): WeirError | undefined {
    const state = this.opened?.state ?? { state: 'closed' }
    return state.state === 'closed' ? undefined : state.error
  }

  private get store(): ArchiveStore {
    return this.opened as ArchiveStore
  }

  /** Forgets all that was not committed; it comes again. */
  private drop(): void {
    for (const lane of [...this.lanes.values()]) this.leave(lane)
    this.missing.clear()
    this.isCommitted = false
  }

  /** Gives up the files of a partition. */
  private leave({ partition, files }: Lane): void {
    for (const { spool } of files.values()) spool.remove()
    const isOfIt = (upload: Upload) => isSamePartition(upload.partition, partition)
    for (const upload of this.uploads.filter(isOfIt)) upload.drop()
    this.uploads = this.uploads.filter((upload) => !isOfIt(upload))
    this.lanes.delete(partition.topic, partition.partition)
  }

  /** Has a lane for each partition that is here, and none for others. */
  private meet(): void {
    const ids = new PartitionMap<string | undefined>()
    for (const { topic, partition, id } of this.context.time.told()) ids.set(topic, partition, id)
    const here = [...this.kept.partitions()]
    for (const lane of [...this.lanes.values()]) if (!here.includes(lane.part)) this.leave(lane)
    for (const part of here) {
      const { topic, partition } = part.partition
      if (this.lanes.get(topic, partition) !== undefined) continue
      const folders = new Folders(part, ids.get(topic, partition))
      const lane = { partition: part.partition, part, folders, files: new Map<string, OpenFile>(), read: -1 }
      this.lanes.set(topic, partition, lane)
      for (const cut of folders.forgetOthers()) this.warnOfGone(lane, cut)
    }
    this.settle()
  }

  /** Notes which files are stored by now. */
  private settle(): void {
    for (const { partition, folder, cut, isStored } of this.uploads)
      if (isStored) this.lanes.get(partition.topic, partition.partition)?.folders.done(folder, cut)
    this.uploads = this.uploads.filter(({ isStored }) => !isStored)
  }

  /** Asks what became of the cuts of before: whoever decided them may have stored them, or died before. */
  private lookForStored(): Observable<never> {
    const unclear = [...this.lanes.values()].flatMap(({ folders }) =>
      [...folders.all()].flatMap(([folder, { cuts }]) => cuts.map((cut) => ({ folders, folder, cut }))),
    )
    const asked = unclear.filter(({ cut }) => !cut.isStored && !this.missing.has(cut.name) && !this.isUploading(cut))
    return from(asked).pipe(
      concatMap(({ folders, folder, cut }) =>
        defer(() => {
          let isStored = false
          return this.store.list(cut.name).pipe(
            tap({
              next: ({ name }) => (isStored ||= name === cut.name),
              complete: () => (isStored ? folders.done(folder, cut) : this.missing.add(cut.name)),
            }),
          )
        }),
      ),
      ignoreElements(),
    )
  }

  private isUploading({ name }: Cut): boolean {
    return this.uploads.some(({ cut }) => cut.name === name)
  }

  private take(record: StreamRecord): void {
    const { topic, partition, offset } = record.origin
    const lane = this.lanes.get(topic, partition)
    if (lane === undefined) return
    lane.read = Math.max(lane.read, offset)
    try {
      const row = this.settings.rowOf(record)
      this.add(lane, row)
    } catch (error) {
      this.context.reject(record, recordFault(error, 'archiving a record'))
    }
  }

  private add(lane: Lane, row: ArchiveRow): void {
    const time = this.settings.timeOf(row)
    const folder = this.folderOf(this.settings.versionOf(row), time)
    const again = this.decided(lane, folder, row.offset)
    if (again === 'stored') return
    const file = this.fileOf(lane, folder, row.offset, again) ?? this.begin(row.offset, time)
    const before = file.buffered
    file.add(row)
    lane.files.set(folder, file)
    this.grownBytes += Math.max(0, file.buffered - before)
    if (again !== undefined) this.make(lane, folder, file, again)
  }

  /** The file that a row goes into, unless it is complete: the events of one record are in one file. */
  private fileOf(lane: Lane, folder: string, offset: number, again: Cut | undefined): OpenFile | undefined {
    if (this.grownBytes >= lookEveryBytes) this.makeRoom(lane, offset)
    const file = lane.files.get(folder)
    if (file === undefined || again !== undefined || file.last === offset || !isFull(file, this.settings)) return file
    this.cut(lane, folder, file)
    return undefined
  }

  private begin(first: number, time: number): OpenFile {
    const { format } = this.settings
    return new OpenFile(format.open(), this.spools.open(), first, time, this.context.clock.scheduler.now())
  }

  /** The cut that a record belongs to, where one was decided before: to be made again, unless it is stored. */
  private decided(lane: Lane, folder: string, offset: number): Cut | 'stored' | undefined {
    if (offset <= lane.folders.stored(folder)) return 'stored'
    for (const cut of lane.folders.cuts(folder)) {
      if (this.isUploading(cut)) continue
      if (offset <= cut.last) return cut.isStored ? 'stored' : cut
      if (cut.isStored) continue
      // It did not come whole: what is missing is gone from the topic, and what has come goes into a file of another name.
      this.warnOfGone(lane, cut)
      const file = lane.files.get(folder)
      if (file === undefined) lane.folders.replace(folder, cut, undefined)
      else this.cut(lane, folder, file, cut)
    }
    return undefined
  }

  /** A file that is made again ends where it did. Its cut is committed already. */
  private make(lane: Lane, folder: string, file: OpenFile, cut: Cut): void {
    if (file.records < cut.records) return
    file.end()
    lane.files.delete(folder)
    const upload = new Upload(lane.partition, folder, cut, file.spool)
    this.uploads.push(upload)
    this.start(upload)
  }

  /** Decides that a file is complete, maybe in the place of another. */
  private cut(lane: Lane, folder: string, file: OpenFile, given?: Cut): void {
    file.end()
    lane.files.delete(folder)
    const { topic, partition } = lane.partition
    const { first, last, records, time } = file
    const [version = ''] = folder.split('/')
    const { extension } = this.settings.format
    const name = pathOf({ topic: segment(topic), version, time, partition, first, records, extension })
    const cut = { name, first, last, records }
    lane.folders.replace(folder, given, cut)
    this.uploads.push(new Upload(lane.partition, folder, cut, file.spool))
  }

  private storing(upload: Upload): Observable<never> {
    return concat(
      upload.store(this.store),
      defer(() => {
        this.ended.tell()
        return EMPTY
      }),
    )
  }

  private start(upload: Upload): void {
    if (upload.begin()) this.begun.tell(upload)
  }

  private warnOfGone(lane: Lane, cut: Cut): void {
    this.missing.delete(cut.name)
    const { log } = this.context
    const at = `${partitionName(lane.partition)}@${cut.first} to ${cut.last}`
    log.error(`archiving: '${cut.name}' can't be made again, for its topic no longer has all of ${at}`)
  }

  /** Cuts the largest files until no more is in memory than may be. */
  private makeRoom(current: Lane, offset: number): void {
    this.grownBytes = 0
    const files = [...this.lanes.values()]
      .flatMap((lane) => [...lane.files].map(([folder, file]) => ({ lane, folder, file })))
      .sort((one, other) => other.file.buffered - one.file.buffered)
    let bytes = files.reduce((sum, { file }) => sum + file.buffered, 0)
    for (const { lane, folder, file } of files) {
      if (bytes <= this.settings.maxBuffered) return
      if (this.isMadeAgain(lane, folder) || (lane === current && file.last === offset)) continue
      bytes -= file.buffered
      this.cut(lane, folder, file)
    }
  }

  private isMadeAgain(lane: Lane, folder: string): boolean {
    return lane.folders.cuts(folder).some((cut) => !cut.isStored && !this.isUploading(cut))
  }

  /** All records of an epoch have come. */
  private rest(): Observable<never> {
    this.leaving = this.context.leaving?.() ?? []
    const now = this.context.clock.scheduler.now()
    for (const lane of this.lanes.values()) {
      const isLeaving = this.leaving.some((one) => isSamePartition(one, lane.partition))
      for (const [folder, file] of [...lane.files]) {
        const isDue = isLeaving || isFull(file, this.settings) || now - file.openedAt >= this.settings.everyMs
        if (isDue && !this.isMadeAgain(lane, folder)) this.cut(lane, folder, file)
      }
    }
    this.settle()
    for (const lane of this.lanes.values()) this.tidy(lane)
    const files = [...this.lanes.values()].flatMap((lane) => [...lane.files.values()])
    return concat(
      merge(...files.map(({ spool }) => spool.flush())),
      // Nothing is read as long as the store takes nothing. How it is by then the next upload finds out, if nobody waits.
      this.until(() => this.hasRoom() && this.store.state.state !== 'open').pipe(this.unlessInterrupted()),
    )
  }

  /** Forgets what can't come again. */
  private tidy({ partition, folders, files, read }: Lane): void {
    const held = this.holds(partition) ?? Number.POSITIVE_INFINITY
    for (const [folder, { stored, cuts }] of [...folders.all()])
      if (cuts.length === 0 && !files.has(folder) && stored < held && stored < read) folders.forget(folder)
  }

  private unlessInterrupted(): MonoTypeOperatorFunction<never> {
    return takeUntil(this.context.interrupted$ ?? NEVER)
  }

  private hasRoom(): boolean {
    const waiting = this.uploads.filter(({ isRunning }) => isRunning)
    return waiting.reduce((sum, { bytes }) => sum + bytes, 0) <= this.settings.maxWaiting
  }

  private until(isSo: () => boolean): Observable<never> {
    return defer(() =>
      merge(this.ended.happens$, this.store.state$).pipe(
        startWith(undefined),
        filter(() => isSo() || this.uploads.some(({ error }) => error !== undefined)),
        take(1),
        ignoreElements(),
      ),
    )
  }
}
