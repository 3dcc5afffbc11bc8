import {
  catchError,
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
import type { FileBytes } from '../../codecs/archive/file-reader.js'
import {
  describeError,
  isSamePartition,
  type MetricReading,
  operate,
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
import { isUnfinished } from './blob-name.js'
import type { BlobStore } from './blob-store.js'
import { type Cut, type CutLimits, type DecidedCut, type FolderState, isFull } from './cut.js'
import { bytesInStore } from './file-bytes.js'
import { Folders, folderCodec } from './folders.js'
import type { Meter } from './meter.js'
import { OpenFile } from './open-file.js'
import { folderNamer, pathOf, placeOf, segment } from './path.js'
import { Signal } from './signal.js'
import type { Spools } from './spool.js'
import { Upload } from './upload.js'

/** How long a partition that goes to another process is kept for its files to be stored, ms. */
const leavingMs = 10_000
/** How many files are stored at a time. */
const uploadsAtOnce = 8
/** How many files are ended at a time that have come to their age. */
const endedAtOnce = 64
/** How many bytes of rows may come before it is looked at how many are in memory. */
const lookEveryBytes = 1 << 20
/** So many files at once are hardly meant. */
const manyFiles = 1_000
/** How often what was left behind in the store is looked for, and how old it has to be: nobody writes a file for a day. */
const sweepMs = 86_400_000

/** What an archive needs of its store. */
export type ArchiveStore = Pick<BlobStore, 'state' | 'state$' | 'create' | 'list' | 'read' | 'sweep' | 'close'>

export interface ArchiveSettings extends CutLimits {
  readonly name: string
  /** How many bytes of rows may be in memory, over all files: the largest is cut before there are more. */
  readonly maxBuffered: number
  /** How many bytes of files may wait to be stored before nothing more is read. */
  readonly maxWaiting: number
  /** Of new files. */
  readonly format: FileFormat
  /** Of a file that was decided on before, maybe by another configuration. */
  formatOf(cut: Cut): FileFormat
  /** Whether what lies under the name of a file is that file, by what it says of itself. */
  isDecided(file: FileBytes, cut: Cut, partition: TopicPartition): Observable<boolean>
  /** Whether two files have the same records, whatever their bytes are. */
  haveSameRecords(name: string, one: FileBytes, other: FileBytes): Observable<boolean>
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
  private spools: Spools | undefined
  private readonly lanes = new PartitionMap<Lane>()
  /** By the names of their files. */
  private readonly uploads = new Map<string, Upload>()
  /** Whether the last epoch was committed: if not, its records come again. */
  private isCommitted = false
  /** The cuts of before that are known not to be stored: their records come again, and they are made again. */
  private readonly missing = new Set<string>()
  private readonly begun = new Signal<Upload>()
  private readonly ended = new Signal()
  private readonly old = new Signal()
  private sweptAt = Number.NEGATIVE_INFINITY
  private readonly folderOf = folderNamer()
  private grownBytes = 0
  private isWarned = false
  /** What is going to another process with this epoch. */
  private leaving: readonly TopicPartition[] = []

  constructor(
    private readonly settings: ArchiveSettings,
    private readonly openStore: () => ArchiveStore,
    private readonly openSpools: () => Spools,
    private readonly context: SinkContext,
    private readonly meter: Meter,
  ) {
    this.kept = context.store(settings.name, folderCodec)
    this.lifetime$ = merge(
      this.begun.happens$.pipe(mergeMap((upload) => this.storing(upload), uploadsAtOnce)),
      this.old.happens$.pipe(mergeMap(() => this.sweep(), 1)),
    )
  }

  open(): Observable<never> {
    return defer(() => {
      this.drop()
      this.opened ??= this.openStore()
      this.spools ??= this.openSpools()
      return EMPTY
    })
  }

  write(records$: Observable<StreamRecord>): Observable<never> {
    return defer(() => {
      if (!this.isCommitted) this.drop()
      this.isCommitted = false
      const failed = this.failed()
      if (failed !== undefined) throw failed.error
      this.meet()
      const taken$ = records$.pipe(operate<StreamRecord, never>(() => ({ next: (record) => this.take(record) })))
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
      for (const upload of this.uploads.values()) this.start(upload)
      const { leaving } = this
      const isGoing = ({ partition }: Upload) => leaving.some((one) => isSamePartition(one, partition))
      const going = [...this.uploads.values()].filter(isGoing)
      return this.until(() => going.every(({ isOver }) => isOver)).pipe(
        takeUntil(timer(leavingMs, this.context.clock.scheduler)),
      )
    })
  }

  close(): Observable<never> {
    return defer(() => {
      this.drop()
      const { opened, spools } = this
      this.opened = this.spools = undefined
      spools?.close()
      return opened?.close() ?? EMPTY
    })
  }

  trouble(): WeirError | undefined {
    for (const state of [this.opened?.state, this.spools?.state])
      if (state !== undefined && state.state !== 'closed') return state.error
    return undefined
  }

  metrics(): readonly MetricReading[] {
    const here = [...this.kept.partitions()]
    const lanes = [...this.lanes.values()].filter(({ part }) => here.includes(part))
    const files = lanes.flatMap((lane) => [...lane.files.values()])
    const waiting = [...this.uploads.values()].filter(({ isStored, partition }) => {
      return !isStored && lanes.some((lane) => isSamePartition(lane.partition, partition))
    })
    const now = this.context.clock.now()
    const inHand = {
      memory: files.reduce((sum, { buffered }) => sum + buffered, 0),
      waiting: waiting.reduce((sum, { bytes }) => sum + bytes, 0),
      age: Math.max(0, ...[...files, ...waiting].map(({ since }) => now - since)) / 1_000,
      store: this.opened?.state.state ?? 'closed',
      spool: this.spools?.state.state ?? 'closed',
    }
    return this.meter.readings(inHand, this.settings)
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
    for (const [name, upload] of this.uploads) {
      if (!isSamePartition(upload.partition, partition)) continue
      upload.drop()
      this.uploads.delete(name)
    }
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

  /** Notes what has become of files by now. */
  private settle(): void {
    for (const [name, upload] of this.uploads) {
      const { partition, folder, cut } = upload
      const folders = this.lanes.get(partition.topic, partition.partition)?.folders
      if (upload.isStored) folders?.done(folder, cut)
      if (upload.isConflict && !upload.isNoted) folders?.foreign(folder, cut)
      upload.isNoted = upload.isConflict
      if (upload.isStored) this.uploads.delete(name)
    }
  }

  /**
   * What could not be stored. Where something else lies in its place that is kept before the flow ends: whoever goes on
   * would take it for the file.
   */
  private failed(): Upload | undefined {
    const isOver = ({ error, isConflict, isNoted }: Upload) => error !== undefined && (isNoted || !isConflict)
    return [...this.uploads.values()].find(isOver)
  }

  /** Asks what became of the cuts of before: whoever decided them may have stored them, or died before. */
  private lookForStored(): Observable<never> {
    const unclear = [...this.lanes.values()].flatMap(({ folders, partition }) =>
      [...folders.all()].flatMap(([folder, { cuts }]) => cuts.map((cut) => ({ folders, folder, cut, partition }))),
    )
    const isUnknown = (cut: DecidedCut) => !cut.isStored && !cut.isForeign && !this.missing.has(cut.name)
    const asked = unclear.filter(({ cut }) => isUnknown(cut) && !this.isUploading(cut))
    return from(asked).pipe(
      mergeMap(({ folders, folder, cut, partition }) => {
        let isStored = false
        return this.store.list(cut.name).pipe(
          filter(({ name }) => name === cut.name),
          concatMap((entry) => this.settings.isDecided(bytesInStore(this.store, entry), cut, partition)),
          tap({
            next: (isIt) => (isStored ||= isIt),
            complete: () => (isStored ? folders.done(folder, cut) : this.missing.add(cut.name)),
          }),
        )
      }, uploadsAtOnce),
      ignoreElements(),
    )
  }

  private isUploading({ name }: Cut): boolean {
    return this.uploads.has(name)
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
    const file = this.fileOf(lane, folder, row.offset, again) ?? this.begin(row, time, again)
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

  private begin({ offset, timestamp = -1 }: ArchiveRow, time: number, again: Cut | undefined): OpenFile {
    const { clock } = this.context
    const format = again === undefined ? this.settings.format : this.settings.formatOf(again)
    const spool = (this.spools as Spools).open()
    const [openedAt, since] = [clock.scheduler.now(), timestamp < 0 ? clock.now() : timestamp]
    const file = new OpenFile(format, spool, offset, time, openedAt, since, this.meter.encoding)
    this.grownBytes += file.buffered
    return file
  }

  /** The cut that a record belongs to, where one was decided before: to be made again, unless it is stored. */
  private decided(lane: Lane, folder: string, offset: number): Cut | 'stored' | undefined {
    const state = lane.folders.get(folder)
    if (state === undefined) return undefined
    if (offset <= state.stored) return 'stored'
    for (const cut of state.cuts) {
      if (this.isUploading(cut)) continue
      if (offset <= cut.last) return cut.isStored ? 'stored' : cut
      if (cut.isStored) continue
      this.cutInstead(lane, folder, cut)
    }
    return undefined
  }

  /** A file did not come whole: what is missing is gone from the topic, and what has come goes into one of another name. */
  private cutInstead(lane: Lane, folder: string, cut: Cut): void {
    this.warnOfGone(lane, cut)
    const file = lane.files.get(folder)
    if (file === undefined) lane.folders.replace(folder, cut, undefined)
    else this.cut(lane, folder, file, cut)
  }

  /** A file that is made again ends where it did. Its cut is committed already. */
  private make(lane: Lane, folder: string, file: OpenFile, cut: Cut): void {
    if (file.records >= cut.records) this.start(this.complete(lane, folder, file, cut))
  }

  /** Decides that a file is complete, maybe in the place of another. */
  private cut(lane: Lane, folder: string, file: OpenFile, given?: Cut): Upload {
    const { topic, partition } = lane.partition
    const { first, last, records, time, extension, codec } = file
    const [version = ''] = folder.split('/')
    const name = pathOf({ topic: segment(topic), version, time, partition, first, records, extension })
    const cut = { name, first, last, records, codec }
    lane.folders.replace(folder, given, cut)
    return this.complete(lane, folder, file, cut)
  }

  private complete(lane: Lane, folder: string, file: OpenFile, cut: Cut): Upload {
    file.end()
    lane.files.delete(folder)
    const upload = new Upload(lane.partition, folder, cut, file.spool, file.since)
    this.uploads.set(cut.name, upload)
    return upload
  }

  private storing(upload: Upload): Observable<never> {
    const { scheduler } = this.context.clock
    return defer(() => {
      const began = scheduler.now()
      return concat(
        upload.store(this.store, this.settings.haveSameRecords),
        defer(() => {
          this.tell(upload, (scheduler.now() - began) / 1_000)
          this.ended.tell()
          return EMPTY
        }),
      )
    })
  }

  private tell({ isStored, isOtherwise, error, cut, bytes }: Upload, seconds: number): void {
    const { name: file, records } = cut
    if (isOtherwise)
      this.context.log.info(
        `archiving: '${file}' is there with the same records, in the bytes of another version of it`,
      )
    if (error !== undefined) this.meter.store.add(error)
    if (!isStored) return
    this.meter.stored({ records, bytes, seconds })
    this.context.made?.({ file, records, bytes })
  }

  private start(upload: Upload): void {
    if (upload.begin()) this.begun.tell(upload)
  }

  private warnOfMany(): void {
    const files = [...this.lanes.values()].reduce((sum, lane) => sum + lane.files.size, 0)
    if (files > manyFiles && !this.isWarned)
      this.context.log.warn(
        `archiving: ${files} files are filled at once, for events of so many schema versions, days and partitions. Have 'version' tell fewer apart, or let 'time' be the arrival`,
      )
    this.isWarned = files > manyFiles
  }

  private warnOfGone(lane: Lane, cut: Cut): void {
    this.missing.delete(cut.name)
    const { log } = this.context
    const at = `${partitionName(lane.partition)}@${cut.first} to ${cut.last}`
    log.error(`archiving: '${cut.name}' can't be made again, for not all of ${at} came for it any more`)
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
      this.giveUpGone(lane)
      const isLeaving = this.leaving.some((one) => isSamePartition(one, lane.partition))
      for (const [folder, file] of [...lane.files])
        if ((isLeaving || isFull(file, this.settings)) && !this.isMadeAgain(lane, folder)) this.cut(lane, folder, file)
    }
    this.settle()
    for (const lane of this.lanes.values()) this.tidy(lane)
    if (now - this.sweptAt >= sweepMs) {
      this.sweptAt = now
      this.old.tell()
    }
    this.warnOfMany()
    return concat(
      concat(this.cutOld(now), this.flush()).pipe(this.unlessInterrupted()),
      // Nothing is read as long as the store takes nothing.
      this.until(() => this.hasRoom() && this.takesFiles()).pipe(this.unlessInterrupted()),
    )
  }

  /** Many files may have come to their age at once: not all of what is left of them is to be in memory together. */
  private cutOld(now: number): Observable<never> {
    const old = [...this.lanes.values()].flatMap((lane) =>
      [...lane.files]
        .filter(([folder, file]) => now - file.openedAt >= this.settings.everyMs && !this.isMadeAgain(lane, folder))
        .map(([folder, file]) => ({ lane, folder, file })),
    )
    return from(old).pipe(mergeMap(({ lane, folder, file }) => this.cut(lane, folder, file).flush(), endedAtOnce))
  }

  /** What is not on disk is in memory, of files that are complete as well. */
  private flush(): Observable<never> {
    return defer(() => {
      const spools = [...this.lanes.values()].flatMap(({ files }) => Array.from(files.values(), ({ spool }) => spool))
      return merge(...[...spools, ...this.uploads.values()].map((part) => part.flush()))
    })
  }

  /** The partition is read beyond what a file was to have: what has not come by now won't. */
  private giveUpGone(lane: Lane): void {
    for (const [folder, { cuts }] of [...lane.folders.all()])
      for (const cut of cuts)
        if (!cut.isStored && cut.last < lane.read && !this.isUploading(cut)) this.cutInstead(lane, folder, cut)
  }

  /** Throws away what was left behind by those that ended in the middle of a file. */
  private sweep(): Observable<never> {
    const { clock, log } = this.context
    const isOurs = (name: string) => isUnfinished(name) || placeOf(name) !== undefined
    return defer(() => {
      // The store goes by the wall clock.
      const now = clock.now()
      return this.opened?.sweep(now - sweepMs, isOurs) ?? EMPTY
    }).pipe(
      tap((name) => log.info(`archiving: '${name}' was left behind half written, and is thrown away`)),
      ignoreElements(),
      catchError((error: unknown) => {
        log.warn(`archiving: what was left behind half written stays: ${describeError(error)}`)
        return EMPTY
      }),
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

  /** How a store is that may be back somebody has to find out: those that wait for it, or the next upload. */
  private takesFiles(): boolean {
    const { state } = this.store.state
    return state === 'closed' || (state === 'half-open' && this.running().length === 0)
  }

  private running(): readonly Upload[] {
    return [...this.uploads.values()].filter(({ isRunning }) => isRunning)
  }

  private hasRoom(): boolean {
    return this.running().reduce((sum, { bytes }) => sum + bytes, 0) <= this.settings.maxWaiting
  }

  private until(isSo: () => boolean): Observable<never> {
    return defer(() =>
      merge(this.ended.happens$, this.store.state$).pipe(
        startWith(undefined),
        filter(() => isSo() || [...this.uploads.values()].some(({ error }) => error !== undefined)),
        take(1),
        ignoreElements(),
      ),
    )
  }
}
