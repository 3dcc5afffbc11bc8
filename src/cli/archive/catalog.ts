import { lastValueFrom, tap, toArray } from 'rxjs'
import { decoded } from '../../model/url-login.js'
import { type FilePlace, placeOf } from '../../sinks/archive/path.js'
import type { Bar } from './bar.js'
import type { NamedFile, OpenedArchive } from './where.js'

/** A file, and what its name tells of it. */
export interface PlacedFile extends NamedFile {
  readonly place: FilePlace
  /** What Kafka calls the topic. */
  readonly topic: string
  /** `v1/dt=2025-12-21`: what it shares with those in whose row it is. */
  readonly folder: string
  /** `2025-12-21`, of its folder. */
  readonly day: string
}

export interface Catalog {
  readonly files: readonly PlacedFile[]
  /** Those whose names are none of an archive. */
  readonly foreign: readonly string[]
}

/** The files of one partition, by their first offsets. */
export interface PartitionFiles {
  readonly topic: string
  readonly partition: number
  readonly files: readonly PlacedFile[]
}

/** All files that lie there, by their names alone. */
export async function catalogOf({ store }: OpenedArchive, bar: Bar, prefix = ''): Promise<Catalog> {
  let found = 0
  const entries = await lastValueFrom(
    store.list(prefix).pipe(
      tap(() => bar.at(++found)),
      toArray(),
    ),
  )
  bar.end()
  const all = entries.map((entry) => placed(entry) ?? entry.name)
  return {
    files: all.flatMap((file) => (typeof file === 'string' ? [] : [file])),
    foreign: all.filter((file) => typeof file === 'string').sort(),
  }
}

function placed({ name, bytes }: NamedFile): PlacedFile | undefined {
  const place = placeOf(name)
  if (place === undefined || !['parquet', 'avro'].includes(place.extension)) return undefined
  const [, version = '', day = ''] = name.split('/')
  return {
    name,
    bytes,
    place,
    topic: decoded(place.topic),
    folder: `${version}/${day}`,
    day: day.slice('dt='.length),
  }
}

/** By topic and partition, in their order. */
export function partitionsOf(files: readonly PlacedFile[]): readonly PartitionFiles[] {
  const partitions = new Map<string, { topic: string; partition: number; files: PlacedFile[] }>()
  for (const file of files) {
    const { topic } = file
    const { partition } = file.place
    const key = `${topic}/${partition}`
    const known = partitions.get(key) ?? { topic, partition, files: [] }
    known.files.push(file)
    partitions.set(key, known)
  }
  for (const { files } of partitions.values())
    files.sort((a, b) => a.place.first - b.place.first || (a.name < b.name ? -1 : 1))
  return [...partitions.values()].sort((a, b) => compare(a.topic, b.topic) || a.partition - b.partition)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
