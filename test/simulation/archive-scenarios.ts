import { concat, defer, EMPTY, from, ignoreElements, map, mergeMap, NEVER, type Observable, of } from 'rxjs'
import { z } from 'zod'
import type { ArchiveRow, FileFormat } from '../../src/codecs/archive/file-format.js'
import { defineSink, flatMap, flow, json, type Sink } from '../../src/index.js'
import { WeirError } from '../../src/model/index.js'
import type { BlobWriter } from '../../src/sinks/archive/blob-store.js'
import { Meter } from '../../src/sinks/archive/meter.js'
import type { Spool, Spools } from '../../src/sinks/archive/spool.js'
import { type ArchiveSettings, type ArchiveStore, ArchiveTask } from '../../src/sinks/archive/task.js'
import { eachRecord, type SimulateOptions } from '../../src/testing/index.js'
import { copies, type Scenario, scenario, source, Visit, visits } from './visits.js'

type Outlet = Parameters<NonNullable<SimulateOptions['sink']>>[0]

const archiveDefinition = defineSink({
  name: 'archive',
  summary: 'Stands where a simulation puts an archive.',
  options: z.strictObject({}),
  stores: () => ['archive'],
  guarantee: () => 'exactly-once',
  build: () => {
    throw new Error('a simulation builds it')
  },
})
const archive = <T>(): Sink<T> => archiveDefinition.declare({})

/** A line a row, in groups of three. */
const lines: FileFormat = {
  extension: 'lines',
  codec: 'none',
  emptyBytes: 0,
  open() {
    const rows: string[] = []
    const taken$ = defer(() =>
      of(
        Buffer.from(
          rows
            .splice(0)
            .map((row) => `${row}\n`)
            .join(''),
        ),
      ),
    )
    return {
      add: (row) => void rows.push(row.id),
      get buffered() {
        return rows.join().length
      },
      get isReady() {
        return rows.length >= 3
      },
      take: () => taken$,
      end: () => concat(taken$, of(Buffer.from('end\n'))),
    }
  },
}

class MemorySpool implements Spool {
  private content = Buffer.alloc(0)

  get bytes(): number {
    return this.content.length
  }

  append(pieces$: Observable<Uint8Array>): void {
    pieces$.subscribe((piece) => {
      this.content = Buffer.concat([this.content, piece])
    })
  }

  flush(): Observable<never> {
    return EMPTY
  }

  readAt(offset: number): Observable<Uint8Array> {
    return defer(() => (offset >= this.bytes ? EMPTY : of(this.content.subarray(offset, offset + 50))))
  }

  remove(): void {
    this.content = Buffer.alloc(0)
  }
}

const spools: Spools = { state: { state: 'closed' }, open: () => new MemorySpool(), close: () => undefined }

/** What is stored, by the judge of each simulation. */
const objects = new WeakMap<object, Map<string, Buffer>>()

/** Objects behind a link that loses, repeats and delays what is asked of them. */
class SimulatedBlobs implements ArchiveStore {
  readonly address = 'simulated'
  readonly state = { state: 'closed' } as const
  readonly state$ = NEVER

  constructor(private readonly outlet: Outlet) {}

  create(name: string): BlobWriter {
    const pieces: Uint8Array[] = []
    return {
      heldBytes: 0,
      write: (piece) => this.request(`part of ${name}`, () => void pieces.push(piece)),
      complete: () => this.request(`completion of ${name}`, () => this.put(name, Buffer.concat(pieces))),
      abort: () => EMPTY,
    }
  }

  close(): Observable<never> {
    return EMPTY
  }

  read(): Observable<never> {
    return EMPTY
  }

  sweep(): Observable<never> {
    return EMPTY
  }

  list(prefix: string) {
    const { link, actor } = this.outlet
    const request = {
      what: `list of ${prefix}`,
      execute: () => [...this.objects].filter(([name]) => name.startsWith(prefix)),
      unanswered: (why: string) => new WeirError('WEIR_SINK_FAILED', `asking for an object: ${why}`),
      repeatable: true,
    }
    return link.request(actor, request).pipe(
      mergeMap((found) => from(found), 1),
      map(([name, { length: bytes }]) => ({ name, bytes })),
    )
  }

  private get objects(): Map<string, Buffer> {
    const { judge } = this.outlet
    const known = objects.get(judge) ?? new Map<string, Buffer>()
    objects.set(judge, known)
    return known
  }

  /** What is there already is not replaced, and has to be the same. */
  private put(name: string, content: Buffer): void {
    const { judge, actor } = this.outlet
    const known = this.objects.get(name)
    if (known !== undefined) {
      if (!known.equals(content)) actor.world.breaks(`a file that is made again is the same: '${name}' is not`)
      return
    }
    this.objects.set(name, content)
    const ids = content
      .toString()
      .split('\n')
      .filter((line) => line.startsWith('{'))
    const claimed = Number(/_count(\d+)\./.exec(name)?.[1])
    if (ids.length !== claimed) actor.world.breaks(`a file has what its name says: '${name}' has ${ids.length}`)
    for (const id of ids) judge.effect(actor.name, JSON.parse(id), true)
  }

  private request(what: string, execute: () => void): Observable<never> {
    const { link, actor } = this.outlet
    const unanswered = (why: string) => new WeirError('WEIR_SINK_FAILED', `storing: ${why}`)
    return concat(EMPTY, link.request(actor, { what, execute, unanswered })).pipe(ignoreElements())
  }
}

const dayMs = 86_400_000

/** Files of some rows, or some seconds: by day, where `days` has visits be of several that interleave. */
function settings(days: number): ArchiveSettings {
  return {
    name: 'archive',
    maxBytes: 600,
    maxRecords: 8,
    everyMs: 3_000,
    maxBuffered: 300,
    maxWaiting: 2_000,
    format: lines,
    formatOf: () => lines,
    isDecided: () => of(true),
    haveSameRecords: () => of(false),
    rowOf: ({ value, origin: { topic, partition, offset } }): ArchiveRow => ({
      id: JSON.stringify(value),
      source: 'simulation',
      type: 'visit',
      topic,
      partition,
      offset,
    }),
    timeOf: ({ offset }) => (offset % days) * dayMs,
    versionOf: ({ offset }) => (offset % 7 === 0 ? 'v2' : 'v1'),
  }
}

const archived = (days: number): Partial<SimulateOptions> => ({
  sink: (outlet, context) =>
    new ArchiveTask(
      settings(days),
      () => new SimulatedBlobs(outlet),
      () => spools,
      context,
      new Meter('file'),
    ),
})

interface Part {
  readonly visit: number
  readonly part: number
}

/** Three events of each record, as a batch of CloudEvents has them. */
const parts = ({ id }: Visit): Part[] => [1, 2, 3].map((part) => ({ visit: id, part }))
const batches = eachRecord<Visit, Part>({
  results: ({ value }) => parts(value),
  idOf: ({ visit, part }) => `visit ${visit}.${part}`,
})

export const archiveScenarios: readonly Scenario[] = [
  scenario('an archive', flow(source, json(Visit), archive<Visit>()), copies, visits, archived(1)),
  scenario(
    'an archive of batches',
    flow(source, json(Visit), flatMap(parts), archive<Part>()),
    batches,
    visits,
    archived(1),
  ),
  scenario('an archive of several days', flow(source, json(Visit), archive<Visit>()), copies, visits, archived(3)),
]
